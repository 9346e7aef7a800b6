package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
)

// TestPromise13_AStoppedHolderWritesNothingAfterAnotherTookOver stops a process in the
// middle of its writes. Until its lease has run out a second one is refused and told who
// holds the pipeline; then it takes over and brings what is newer by then. The first,
// continued, finds its lease gone and writes nothing more. Calls that had reached Copernica
// when it was stopped are what cannot be promised: here they take effect before the
// take-over.
func TestPromise13_AStoppedHolderWritesNothingAfterAnotherTookOver(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for _, store := range stores() {
		all.Go(func() {
			t.Run(store.name, func(t *testing.T) { stoppedHolder(t, newTown(t, store.database(t), size{200, 0})) })
		})
	}
	all.Wait()
}

func stoppedHolder(t *testing.T, w *town) {
	t.Helper()
	const lease = leaseFor + "=3s"
	args := []string{"run", "customers"}
	w.finish(t, args)
	w.everybodyMoves("II")

	w.front.begin(false)
	met, leave := w.front.hold(20, townInFlight)
	first := w.command(t, args, lease)
	var said bytes.Buffer
	first.Stdout, first.Stderr = &said, &said
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // a failed test leaves no process behind
		_ = first.Process.Kill()
		_ = first.Wait()
	})
	<-met
	held := fmt.Sprintf("(process %d)", first.Process.Pid)
	refused := func() bool {
		out, err := w.command(t, args, lease).CombinedOutput()
		if err == nil {
			return false
		}
		text := string(out)
		if exitOf(err) != exitFailed || !strings.Contains(text, `syncd: pipeline "shop" is held by `) || !strings.Contains(text, held) {
			t.Fatalf("the second process: %v\n%s", err, text)
		}
		return true
	}
	if !refused() {
		t.Fatal("two processes wrote at once")
	}
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	leave()
	w.everybodyMoves("III")
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	refusals := 0
	for ; refused(); refusals++ {
		<-tick.C
	}
	if refusals == 0 {
		t.Error("the lease of a stopped process was taken before its time")
	}
	w.finish(t, args) // the pass that was taken over ends before what happened since
	newest := w.account.Dump()

	w.front.begin(false)
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	err := first.Wait()
	if exitOf(err) != exitFailed || !strings.Contains(said.String(), "the writer lease is no longer ours") {
		t.Errorf("the first process: %v\n%s", err, &said)
	}
	// All calls that it could have under way had reached the account when it was stopped.
	if late := w.front.wrote(); late > 0 {
		t.Errorf("%d writes after another took over", late)
	}
	same(t, newest, w.account.Dump())
	w.judge(t)
}

// exitOf is the exit code that a child process ended with, or -1.
func exitOf(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
}

// everybodyMoves changes each customer, and puts the changes behind the horizon.
func (w *town) everybodyMoves(name string) {
	w.shopAhead.Add(int64(time.Minute))
	for _, c := range w.shop.Data().Customers {
		w.shop.Edit(c.ID, func(c *magentotest.Customer) { c.LastName = name })
	}
	w.shopAhead.Add(int64(time.Minute))
}

// hold makes the gate hold its n-th write and those after it. met closes when as many
// as given wait there; leave lets them go, and returns when the account has them.
func (g *gate) hold(n, many int) (met <-chan struct{}, leave func()) {
	arrived, release := make(chan struct{}), make(chan struct{})
	var held sync.WaitGroup
	waiting := 0
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds = func(write int) (done func()) {
		if write < n {
			return func() {}
		}
		held.Add(1)
		if waiting++; waiting == many {
			close(arrived)
		}
		g.mu.Unlock()
		<-release
		g.mu.Lock()
		return held.Done
	}
	return arrived, sync.OnceFunc(func() {
		g.mu.Lock()
		g.holds = nil
		g.mu.Unlock()
		close(release)
		held.Wait()
	})
}

// wrote is how many writes of this process have come so far.
func (g *gate) wrote() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.writes
}
