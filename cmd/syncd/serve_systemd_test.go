package main

import (
	"net"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// The service manager is told when the daemon is ready, how it stands, that it lives
// and that it stops.
func TestServeTellsTheServiceManager(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	s.must(err)
	defer socket.Close()
	told := make(chan string, 1000)
	go func() {
		defer close(told)
		buffer := make([]byte, 4096)
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			told <- string(buffer[:n])
		}
	}()
	met, leave := s.holdWrites()
	d := s.serve("syncd", "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=300000")
	await := func(expression string) {
		t.Helper()
		pattern := regexp.MustCompile(expression)
		deadline := time.After(100 * time.Second)
		for {
			select {
			case got := <-told:
				if pattern.MatchString(got) {
					return
				}
			case <-deadline:
				t.Fatalf("%s was not told", expression)
			}
		}
	}
	await(`^READY=1\nSTATUS=`)
	<-met
	await(`^WATCHDOG=1$`) // in a run that waits for an answer
	leave()
	await(`^STATUS=customers in step until 20.* UTC`)
	await(`^WATCHDOG=1$`) // between runs
	d.signal(syscall.SIGTERM)
	await(`^STOPPING=1`)
	_ = d.process.Wait() // the exit code says it
	d.ended = true
	if code := d.process.ProcessState.ExitCode(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}
