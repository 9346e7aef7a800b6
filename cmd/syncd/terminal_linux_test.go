package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/magento-copernica/syncd/internal/emulator"
)

// TestBarOnATerminal runs a process whose standard error is a terminal.
func TestBarOnATerminal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	// A bar is drawn some times a second, so the run must last some of one.
	s.account.Faults().Add(emulator.Fault{Kind: emulator.Delay, Delay: 150 * time.Millisecond, Method: "PUT"})
	stdout, shown := s.onTerminal("run")
	if bar := regexp.MustCompile(`customers .*\d+ / 32.*%`); !bar.MatchString(shown) {
		t.Errorf("no bar on the terminal: %q", shown)
	}
	if strings.Contains(stdout, "\x1b") {
		t.Errorf("standard output got a terminal's bytes: %q", stdout)
	}
}

// TestLogLinesAndTheBar holds that log lines and the frames of a bar leave each other
// whole, and that an empty pass draws nothing.
func TestLogLinesAndTheBar(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.environ["SYNCD_LOG_LEVEL"] = "debug"
	failed := s.account.Faults().Add(emulator.Fault{Kind: emulator.Status, Status: http.StatusTooManyRequests, Method: "PUT", Skip: 12, Every: 3, Times: 4})
	s.account.Faults().Add(emulator.Fault{Kind: emulator.Delay, Delay: 100 * time.Millisecond, Method: "PUT"})
	_, shown := s.onTerminal("run")
	if !strings.Contains(shown, " / 32") {
		t.Errorf("no bar on the terminal: %q", shown)
	}
	left := rows(t, shown)
	line := regexp.MustCompile(`^\d\d:\d\d:\d\d (DBG|INF|WRN) \S.* peer=(copernica|magento)( \w+=\S+)+$|^\d\d:\d\d:\d\d INF (new state created|key file made).*$`)
	attempts := 0
	for _, row := range left {
		if strings.Contains(row, "attempt failed") {
			attempts++
		}
		if row != "" && !line.MatchString(row) {
			t.Errorf("row %q is no line of the log", row)
		}
	}
	if attempts != failed.Hits() || attempts == 0 {
		t.Errorf("%d lines for %d failed attempts are left:\n%s", attempts, failed.Hits(), strings.Join(left, "\n"))
	}

	s.pass(time.Minute)
	s.environ["SYNCD_OVERLAP"], s.environ["SYNCD_LOG_LEVEL"] = "0s", "info"
	if _, shown := s.onTerminal("run"); shown != "" {
		t.Errorf("a run that finds nothing shows %q", shown)
	}
}

// onTerminal runs a command as a process whose standard error is a terminal, and
// returns what it printed and what the terminal got.
func (s *stage) onTerminal(args ...string) (stdout, shown string) {
	s.t.Helper()
	screen, terminal := openTerminal(s.t)
	var got, out bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&got, screen) // ends with EIO when nobody has the terminal any more
	}()
	cmd := s.command(args...)
	cmd.Stdout, cmd.Stderr = &out, terminal
	err := cmd.Run()
	s.must(terminal.Close())
	<-read
	s.sweep(out.String() + got.String())
	if err != nil {
		s.t.Fatalf("%v\n%s", err, &got)
	}
	return out.String(), got.String()
}

// rows plays what a terminal got and returns what is left to read on it. Its screen is
// as wide and high as it takes.
func rows(t *testing.T, shown string) []string {
	t.Helper()
	lines, row, column := [][]rune{nil}, 0, 0
	escape := regexp.MustCompile(`^\x1b\[(\d*)([A-Za-z])`)
	for shown != "" {
		if m := escape.FindStringSubmatch(shown); m != nil {
			shown = shown[len(m[0]):]
			switch m[2] {
			case "m": // a colour
			case "A":
				n, err := strconv.Atoi(m[1])
				if err != nil || n > row {
					t.Fatalf("%s rows up from row %d", m[1], row)
				}
				row -= n
			case "J":
				lines = lines[:row+1]
				lines[row] = lines[row][:min(column, len(lines[row]))]
			default:
				t.Fatalf("escape sequence %q", m[0])
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(shown)
		shown = shown[size:]
		switch r {
		case '\r':
			column = 0
		case '\n':
			if row++; row == len(lines) {
				lines = append(lines, nil)
			}
		default:
			for len(lines[row]) <= column {
				lines[row] = append(lines[row], ' ')
			}
			lines[row][column] = r
			column++
		}
	}
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.TrimRight(string(line), " ")
	}
	return out
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
