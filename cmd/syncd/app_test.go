package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/config"
)

// newApp returns an app on the given environment with its two outputs.
func newApp(environ ...string) (a *app, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	return &app{stdout: stdout, stderr: stderr, environ: environ, now: time.Now}, stdout, stderr
}

func TestLogger(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		environ  []string
		terminal bool
		want     string // part of the line
		absent   string
	}{
		{name: "text when piped", want: `level=INFO msg="page committed" records=300`, absent: "\x1b"},
		{name: "colour on a terminal", terminal: true, want: "\x1b["},
		{name: "no colour when asked", terminal: true, environ: []string{"NO_COLOR=1"}, want: "INF page committed records=300", absent: "\x1b"},
		{name: "text on a terminal when asked", terminal: true, environ: []string{"SYNCD_LOG_FORMAT=text"}, want: "level=INFO", absent: "\x1b"},
		{name: "JSON", terminal: true, environ: []string{"SYNCD_LOG_FORMAT=json"}, want: `"msg":"page committed","records":300`},
		{name: "nothing below the level", environ: []string{"SYNCD_LOG_LEVEL=warn"}, absent: "page"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, _, stderr := newApp(append(c.environ, "HOME=/home/op")...)
			a.terminal = c.terminal
			_, log, err := a.configure(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			log.Info("page committed", "records", 300)
			if got := stderr.String(); !strings.Contains(got, c.want) || c.absent != "" && strings.Contains(got, c.absent) {
				t.Errorf("line %q, want %q in it and not %q", got, c.want, c.absent)
			}
		})
	}
}

// TestEmulateCopernica drives a whole process: the environment it prints leads a
// second one to it, and a signal ends it with exit code 0.
func TestEmulateCopernica(t *testing.T) {
	t.Parallel()
	lines := startEmulator(t, 4, "emulate", "copernica")
	environ := []string{"HOME=" + t.TempDir()}
	for _, line := range lines {
		setting, ok := strings.CutPrefix(line, "export "+config.Prefix)
		if !ok {
			t.Fatalf("line %q sets no variable", line)
		}
		environ = append(environ, config.Prefix+setting)
	}
	for _, want := range []string{"customer_id       text 64, indexed  created", "customer_id       text 64, indexed  exists"} {
		a, stdout, stderr := newApp(environ...)
		if code := a.run(t.Context(), []string{"provision"}); code != exitDone || !strings.Contains(stdout.String(), want) {
			t.Fatalf("exit code %d, want 0 and %q in\n%s%s", code, want, stdout, stderr)
		}
	}
}

// TestEmulateMagento does the same for the shop, which is reached with the token
// and with the user alike.
func TestEmulateMagento(t *testing.T) {
	t.Parallel()
	lines := startEmulator(t, 8, "emulate", "magento", "--customers", "5")
	var token, user []string
	for _, line := range lines {
		if setting, ok := strings.CutPrefix(line, "export "); ok {
			token = append(token, setting)
		}
		if setting, ok := strings.CutPrefix(line, "# export "); ok {
			user = append(user, setting)
		}
	}
	user = append(user, token[0])
	for name, environ := range map[string][]string{"token": token, "user": user} {
		a, _, stderr := newApp(environ...)
		cfg, log, err := a.configure(t.Context(), config.NeedMagento)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		shop, transport, err := a.openMagento(cfg, log, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		groups, err := shop.Groups(t.Context())
		if err != nil || len(groups) == 0 {
			t.Errorf("%s: customer groups %v, %v\n%s", name, groups, err, stderr)
		}
		transport.CloseIdleConnections()
	}
}

// startEmulator starts syncd and returns the lines it prints first. At the end of
// the test it is interrupted, and must then end with exit code 0.
func startEmulator(t *testing.T, lines int, args ...string) []string {
	t.Helper()
	cmd := exec.Command("syncd", args...) // TestMain put it into the PATH
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after an interrupt: %v", err)
		}
	})
	var out []string
	for scanner := bufio.NewScanner(stdout); len(out) < lines; {
		if !scanner.Scan() {
			t.Fatalf("syncd printed %d lines, want %d: %v", len(out), lines, scanner.Err())
		}
		out = append(out, scanner.Text())
	}
	return out
}

func TestServeOnAllAddressesPrintsLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"0.0.0.0:8080":  "127.0.0.1:8080",
		"[::]:8080":     "127.0.0.1:8080",
		"[::1]:8080":    "[::1]:8080",
		"10.1.2.3:8080": "10.1.2.3:8080",
	} {
		addr, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := reachable(addr); got != want {
			t.Errorf("%s is reached at %s, want %s", address, got, want)
		}
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := &app{stderr: io.Discard}
	bases := make(chan string, 1)
	a.stdout = io.Discard
	done := make(chan error, 1)
	go func() {
		done <- a.serve(ctx, "127.0.0.1:0", "nothing", http.NotFoundHandler(), func(base string) []string {
			bases <- base
			return nil
		})
	}()
	resp, err := http.Get(<-bases)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d, %v", resp.StatusCode, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
