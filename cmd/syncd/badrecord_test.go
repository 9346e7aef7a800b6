package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
)

// TestBadRecords holds that one record that cannot be delivered costs that record
// and nothing else: exit code 4 while it is open, no call for it again, and 0 after
// it was mended in the shop (promises 20 and 23).
func TestBadRecords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		spoil  func(*stage, int64)
		mend   func(*magentotest.Customer)
		letter string
	}{
		{
			name:  "an empty e-mail",
			spoil: func(s *stage, id int64) { s.shop.Edit(id, func(c *magentotest.Customer) { c.Email = "" }) },
			mend:  func(c *magentotest.Customer) { c.Email = "found+again@example.test" }, letter: "email_empty",
		},
		{
			name: "an e-mail longer than its field",
			spoil: func(s *stage, id int64) {
				s.shop.Edit(id, func(c *magentotest.Customer) { c.Email = strings.Repeat("x", 160) + "@example.test" })
			},
			mend: func(c *magentotest.Customer) { c.Email = "shorter@example.test" }, letter: "email_too_long",
		},
		{
			name: "a first name of 10 MiB",
			spoil: func(s *stage, id int64) {
				s.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = strings.Repeat("Anna ", 2<<20) })
			},
			mend: func(c *magentotest.Customer) { c.FirstName = "Anna" }, letter: "too_large",
		},
		{
			name: "a name that is no UTF-8",
			spoil: func(s *stage, id int64) {
				s.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Jos-MARK" })
				s.shopFront.show(rewritten(s.shop.Handler(), func(_ *http.Request, body []byte) []byte {
					return bytes.ReplaceAll(body, []byte("-MARK"), []byte("\xe9")) // é in Latin 1
				}))
			},
			mend: func(c *magentotest.Customer) { c.FirstName = "José" }, letter: "invalid_utf8",
		},
	} {
		for _, fresh := range []bool{true, false} {
			name := c.name
			if fresh {
				name += ", from the start"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				if !fresh {
					s.ends(exitDone, s.run("run"))
				}
				s.everybodyChanges()
				id := s.id(stageCustomers / 3)
				c.spoil(s, id)
				s.pass(time.Minute)

				out := s.child("run")
				s.ends(exitDeadLetters, out, "1 dead letter", "syncd dead")
				if n := s.letters(); len(n) != 1 || n[c.letter] != 1 {
					t.Errorf("dead letters %v, want one %s", n, c.letter)
				}
				if cp := s.checkpoint(); !cp.Target.IsZero() || cp.Horizon.IsZero() {
					t.Errorf("one record held the stream: %+v", cp)
				}
				calls := s.account.Calls()
				s.pass(time.Minute)
				s.ends(exitDeadLetters, s.run("run"), "1 dead letter")
				if n := s.account.Calls() - calls; n != 0 {
					t.Errorf("the refused record cost %d calls again", n)
				}

				s.shop.Edit(id, c.mend)
				s.pass(time.Minute)
				s.inStep()
				if n := s.letters(); len(n) != 0 {
					t.Errorf("dead letters %v after the record was mended", n)
				}
			})
		}
	}
}

// mostMemory bounds what a run may hold when a record is far too large, in KiB: the
// record itself would take 20 MiB as text. `make bench` measures the true bound.
const mostMemory = instrumented * 64 << 10

// child runs a command line as a process of its own and looks at its memory.
func (s *stage) child(args ...string) outcome {
	s.t.Helper()
	process, wait := s.start(args...)
	var peak atomic.Int64
	look := func() { peak.Store(max(peak.Load(), highWater(process.Process.Pid))) }
	s.shopFront.each.Store(&look)
	s.accountFront.each.Store(&look)
	defer s.shopFront.each.Store(nil)
	defer s.accountFront.each.Store(nil)
	out := wait()
	if n := peak.Load(); n > mostMemory {
		s.t.Errorf("the process took %d KiB of memory", n)
	}
	return out
}

// highWater returns the most memory a process has held, in KiB; 0 where /proc does
// not say. What wait4 reports will not do: it begins with the size of the parent.
func highWater(pid int) int64 {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(fields[0], 10, 64)
	return n
}

// start starts a command line as a process of its own; wait waits for its end.
func (s *stage) start(args ...string) (cmd *exec.Cmd, wait func() outcome) {
	s.t.Helper()
	var stdout, stderr lockedBuffer
	cmd = s.command(args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	s.must(cmd.Start())
	return cmd, func() outcome {
		s.t.Helper()
		_ = cmd.Wait() // the exit code says it
		out := outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
		s.sweep(out.stdout + out.stderr)
		return out
	}
}

// command is a command line as a process of its own, not started yet.
func (s *stage) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), "syncd", args...) // TestMain put it into the PATH
	cmd.Env = s.env()
	return cmd
}
