package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/magento-copernica/syncd/internal/emulator"
)

// TestBarOnATerminal runs a process whose standard error is a terminal.
func TestBarOnATerminal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	// A bar is drawn some times a second, so the run must last some of one.
	s.account.Faults().Add(emulator.Fault{Kind: emulator.Delay, Delay: 150 * time.Millisecond, Method: "PUT"})
	screen, terminal := openTerminal(t)
	var shown bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&shown, screen) // ends with EIO when nobody has the terminal any more
	}()
	cmd := s.command("run")
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, terminal
	err := cmd.Run()
	s.must(terminal.Close())
	<-read
	s.sweep(stdout.String() + shown.String())
	if err != nil {
		t.Fatalf("%v\n%s", err, &shown)
	}
	if bar := regexp.MustCompile(`customers .*\d+ / 32.*%`); !bar.Match(shown.Bytes()) {
		t.Errorf("no bar on the terminal: %q", &shown)
	}
	if bytes.Contains(stdout.Bytes(), []byte("\x1b")) {
		t.Errorf("standard output got a terminal's bytes: %q", &stdout)
	}
}

// openTerminal returns both ends of a pseudo-terminal.
func openTerminal(t *testing.T) (screen, terminal *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	fd := int(screen.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return screen, terminal
}
