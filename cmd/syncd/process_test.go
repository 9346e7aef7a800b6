package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/sync/engine"
)

// TestPromise13_ASecondProcessNamesTheFirst starts a run beside one that is under way.
func TestPromise13_ASecondProcessNamesTheFirst(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	met, leave := s.holdWrites()
	first, wait := s.start("run")
	<-met
	out := s.run("run")
	s.ends(exitFailed, out, "process "+strconv.Itoa(first.Process.Pid))
	if want := `syncd: pipeline "shop" is held by `; !strings.HasPrefix(out.stderr, want) {
		t.Errorf("message %q does not begin with %q", out.stderr, want)
	}
	leave()
	s.ends(exitDone, wait())
	s.compare()
	s.pass(time.Second)
	s.inStep()
}

// TestSIGTERM holds that a run ends cleanly and soon when systemd asks it to,
// whether Copernica answers the calls in flight or not, and that the next resumes.
func TestSIGTERM(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ answered, orders bool }{{true, false}, {false, false}, {true, true}, {false, true}} {
		t.Run(fmt.Sprintf("calls in flight are answered: %t, those of orders: %t", c.answered, c.orders), func(t *testing.T) {
			t.Parallel()
			answered, stream := c.answered, engine.Customers
			s := newOrderStage(t)
			if c.orders {
				stream = engine.Orders
				s.ends(exitDone, s.run("run", "customers"))
			}
			met, leave := s.holdWrites()
			process, wait := s.start("run")
			<-met
			s.must(process.Process.Signal(syscall.SIGTERM))
			asked := time.Now()
			if answered {
				leave()
			}
			s.ends(exitFailed, wait(), "stopped: the next run resumes where this one was")
			if took := time.Since(asked); took > 10*time.Second {
				t.Errorf("it took %s to end", took)
			}
			leave() // what hung takes effect after the process is gone
			if cp := s.checkpointOf(stream); !cp.Horizon.IsZero() {
				t.Errorf("the horizon moved: %+v", cp)
			}
			// A write that hung may arrive for a minute; after that it is looked up.
			s.pass(2 * time.Minute)
			s.inStep()
		})
	}
}

// holdWrites makes the account hold its tenth write and those after it. met closes
// when it is there; leave lets them all take effect and returns when they have.
func (s *stage) holdWrites() (met <-chan struct{}, leave func()) {
	var (
		writes  atomic.Int64
		held    sync.WaitGroup
		arrived = make(chan struct{})
		release = make(chan struct{})
	)
	s.accountFront.show(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut {
			s.account.Handler().ServeHTTP(w, r)
			return
		}
		if n := writes.Add(1); n >= 10 {
			held.Add(1)
			defer held.Done()
			body, _ := io.ReadAll(r.Body) // now, while the caller is there
			r.Body = io.NopCloser(bytes.NewReader(body))
			if n == 10 {
				close(arrived)
			}
			<-release
		}
		s.account.Handler().ServeHTTP(w, r)
	}))
	leave = sync.OnceFunc(func() {
		s.accountFront.show(nil)
		close(release)
		held.Wait()
	})
	s.t.Cleanup(leave)
	return arrived, leave
}
