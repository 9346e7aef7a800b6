//go:build unix

package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
)

const (
	// pathVariable makes this test binary a process that holds the lease of a state.
	pathVariable = "SYNCD_TEST_STATE"
	// commitVariable makes that process commit page after page.
	commitVariable = "SYNCD_TEST_COMMIT"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(pathVariable); path != "" {
		if err := hold(context.Background(), path, os.Getenv(commitVariable) != ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// hold takes the lease for an hour, prints its fence and ends with its input, or
// commits for ever and prints the version of each checkpoint it saved.
func hold(ctx context.Context, path string, commit bool) error {
	s, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.OpenPipeline(ctx, pipeline()); err != nil {
		return err
	}
	l, err := s.Acquire(ctx, "shop", "child", time.Hour)
	if err != nil {
		return err
	}
	fmt.Println(l.Fence)
	if !commit {
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	}
	cp, err := s.Checkpoint(ctx, "shop", "customers")
	for err == nil {
		c := state.Commit{Checkpoint: &cp}
		cp.Position.ID++
		for i := range pageRows {
			c.Records = append(c.Records, state.Record{
				Entity: state.Profile, Key: fmt.Sprint("shop-c", i), SourceID: cp.Position.ID, State: state.Acknowledged,
			})
		}
		if cp, err = s.Commit(ctx, l, c); err == nil {
			fmt.Println(cp.Version)
		}
	}
	return err
}

// pageRows is how many rows a committing process writes with each checkpoint.
const pageRows = 100

// holder starts a process that holds the lease, and returns it and its fence.
func holder(t *testing.T, path string) (*exec.Cmd, int64) {
	t.Helper()
	cmd, out := start(t, path)
	return cmd, number(t, out)
}

// number reads a line with a number.
func number(t *testing.T, out *bufio.Reader) int64 {
	t.Helper()
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("the holder said %q: %v", line, err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// start starts this test binary as another process on the state at path.
func start(t *testing.T, path string, env ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(append(os.Environ(), pathVariable+"="+path), env...)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// It may have been killed before, or not: either way it ends here.
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewReader(out)
}

// Promise 9: whenever a process is killed, each page is there as a whole or not at
// all, and what a commit has answered is there.
func TestPromise09_KilledWhileCommitting(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	keys := make([]string, pageRows)
	for i := range keys {
		keys[i] = fmt.Sprint("shop-c", i)
	}
	for range 5 {
		child, out := start(t, path, commitVariable+"=1")
		number(t, out) // the fence
		var answered int64
		for range 3 {
			answered = number(t, out)
		}
		kill(t, child)
		s := open(t, sqlite.Config{Path: path})
		cp, err := s.Checkpoint(t.Context(), "shop", "customers")
		if err != nil {
			t.Fatal(err)
		}
		if cp.Version < answered {
			t.Errorf("version %d was answered, %d is kept", answered, cp.Version)
		}
		rows, err := s.Records(t.Context(), "shop", state.Profile, keys)
		if err != nil || len(rows) != pageRows {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for key, r := range rows {
			if r.SourceID != cp.Position.ID {
				t.Fatalf("%s is of page %d, the checkpoint of page %d", key, r.SourceID, cp.Position.ID)
			}
		}
		if verdict, err := s.Pragma(t.Context(), "integrity_check"); err != nil || verdict != "ok" {
			t.Errorf("the file after a kill: %s, %v", verdict, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// stop stops a process without ending it.
func stop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// kill kills a process and waits until the system has taken its locks away.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("a killed process ended well")
	}
}

func TestSuccessorOfAKilledProcessNeedNotWait(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := openShop(t, sqlite.Config{Path: path})
	child, fence := holder(t, path)

	_, err := s.Acquire(t.Context(), "shop", "me", time.Hour)
	if e, ok := errors.AsType[*state.HeldError](err); !ok || e.Holder != "child" {
		t.Fatalf("beside a living holder: %v", err)
	}
	kill(t, child)
	l, err := s.Acquire(t.Context(), "shop", "me", time.Hour)
	if err != nil {
		t.Fatalf("after the holder was killed: %v", err)
	}
	if l.Fence != fence+1 {
		t.Errorf("fence %d after %d", l.Fence, fence)
	}
}

// A stopped process keeps its file lock. The row decides, and whoever took over is
// not taken for dead because the lock of its predecessor becomes free.
func TestStoppedProcessIsOvertakenAtItsExpiry(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	s, third := openShop(t, sqlite.Config{Path: path, Now: later}), openShop(t, sqlite.Config{Path: path, Now: later})
	child, _ := holder(t, path)
	stop(t, child)

	l, err := s.Acquire(t.Context(), "shop", "second", time.Hour)
	if err != nil {
		t.Fatalf("past the expiry of a stopped holder: %v", err)
	}
	kill(t, child)
	if _, err := third.Acquire(t.Context(), "shop", "third", time.Hour); err == nil {
		t.Fatal("the second holder lives, but was taken for dead")
	}
	// From its next renewal on, the second holder has the lock.
	if _, err := s.Renew(t.Context(), l, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := third.Acquire(t.Context(), "shop", "third", time.Hour); err == nil {
		t.Fatal("the second holder lives, but was taken for dead after a renewal")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := third.Acquire(t.Context(), "shop", "third", time.Hour); err != nil {
		t.Fatalf("after the second holder ended: %v", err)
	}
}

// Whoever removes a lock file takes the proof of death away, not the lease.
func TestRemovedLockFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s, next := openShop(t, sqlite.Config{Path: path}), openShop(t, sqlite.Config{Path: path})
	l, err := s.Acquire(t.Context(), "shop", "me", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path + ".shop.lock"); err != nil {
		t.Fatal(err)
	}
	if _, err := next.Acquire(t.Context(), "shop", "next", time.Hour); err == nil {
		t.Fatal("a living holder's lease was taken")
	}
	if _, err := s.Commit(t.Context(), l, state.Commit{}); err != nil {
		t.Fatal(err)
	}
}

// A holder that was overtaken gives the file lock to its successor.
func TestOvertakenHolderGivesItsLockAway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	old, s, third := openShop(t, sqlite.Config{Path: path}), openShop(t, sqlite.Config{Path: path, Now: later}), openShop(t, sqlite.Config{Path: path, Now: later})
	stale, err := old.Acquire(t.Context(), "shop", "old", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Acquire(t.Context(), "shop", "second", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Plan(t.Context(), stale, nil); !errors.Is(err, state.ErrFenced) {
		t.Fatalf("the overtaken holder: %v", err)
	}
	if _, err := s.Renew(t.Context(), l, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := third.Acquire(t.Context(), "shop", "third", time.Hour); err != nil {
		t.Errorf("the second holder ended, and the third has to wait: %v", err)
	}
}

func TestManyProcessesCreateOneState(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "state.db")
	const many = 8
	sums := make(chan state.Hash, many)
	for range many {
		go func() {
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
			if err != nil {
				t.Error(err)
				sums <- state.Hash{}
				return
			}
			sums <- s.Hasher().Sum("profile", "content")
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
	}
	first := <-sums
	for range many - 1 {
		if sum := <-sums; sum != first {
			t.Error("two processes have different hash keys")
		}
	}
}
