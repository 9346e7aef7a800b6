package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// served is a daemon as a process of its own.
type served struct {
	*stage
	process *exec.Cmd
	log     *watchedLog
	address string // where it answers
	ended   bool
}

// watchedLog is what a process writes, for a test to wait for.
type watchedLog struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{} // closed at each write
}

func (l *watchedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.text.Write(p)
}

func (l *watchedLog) read() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String(), l.more
}

// serve starts a daemon with further settings and waits until it answers.
func (s *stage) serve(binary string, settings ...string) *served {
	s.t.Helper()
	d := s.serveSilently(binary, settings...)
	d.address = d.await(`listen="?(127\.0\.0\.1:\d+)`)[1]
	return d
}

// serveSilently starts a daemon, which may have to wait before it serves.
func (s *stage) serveSilently(binary string, settings ...string) *served {
	s.t.Helper()
	d := &served{stage: s, log: &watchedLog{more: make(chan struct{})}}
	d.process = exec.CommandContext(s.t.Context(), binary, "serve")
	d.process.Env = append(s.env(), append([]string{"SYNCD_LISTEN=127.0.0.1:0"}, settings...)...)
	for i, setting := range settings {
		if file, ok := strings.CutPrefix(setting, "--env-file="); ok {
			d.process.Args = append(d.process.Args, "--env-file", file)
			d.process.Env = append(s.env(), append([]string{"SYNCD_LISTEN=127.0.0.1:0"}, settings[i+1:]...)...)
		}
	}
	d.process.Stdout, d.process.Stderr = d.log, d.log
	s.must(d.process.Start())
	s.t.Cleanup(func() {
		if !d.ended {
			_ = d.process.Process.Kill()
			_ = d.process.Wait()
		}
		printed, _ := d.log.read()
		s.sweep(printed)
	})
	return d
}

// await waits until the daemon has printed what an expression describes.
func (d *served) await(expression string) []string {
	d.t.Helper()
	return d.awaitTimes(expression, 1)
}

func (d *served) awaitTimes(expression string, n int) []string {
	d.t.Helper()
	pattern := regexp.MustCompile(expression)
	deadline := time.After(100 * time.Second)
	for {
		text, more := d.log.read()
		if found := pattern.FindAllStringSubmatch(text, -1); len(found) >= n {
			return found[n-1]
		}
		select {
		case <-more:
		case <-deadline:
			d.t.Fatalf("%q did not come %d times:\n%s", expression, n, text)
		}
	}
}

// times counts the lines that an expression finds.
func (d *served) times(expression string) int {
	text, _ := d.log.read()
	return len(regexp.MustCompile(expression).FindAllString(text, -1))
}

func (d *served) signal(s os.Signal) {
	d.t.Helper()
	d.must(d.process.Process.Signal(s))
}

// stop asks the daemon to end and expects it to do so cleanly within 10 s.
func (d *served) stop() {
	d.t.Helper()
	asked := time.Now()
	d.signal(syscall.SIGTERM)
	_ = d.process.Wait() // the exit code says it
	d.ended = true
	text, _ := d.log.read()
	if took := time.Since(asked); took > 10*time.Second {
		d.t.Errorf("it took %s to end", took)
	}
	if code := d.process.ProcessState.ExitCode(); code != exitDone {
		d.t.Errorf("exit code %d\n%s", code, text)
	}
}

// ask returns status and body of a page.
func (d *served) ask(page string) (int, string) {
	d.t.Helper()
	request, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, "http://"+d.address+page, nil)
	d.must(err)
	response, err := http.DefaultClient.Do(request)
	d.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	d.must(err)
	d.sweep(string(body))
	return response.StatusCode, string(body)
}

// readiness waits until /readyz answers with a status, and returns what it says.
func (d *served) readiness(status int) (answer struct {
	Problem string
	Streams []struct {
		Name        string
		Ready       bool
		LagSeconds  *int64 `json:"lag_seconds"`
		LateSeconds *int64 `json:"late_seconds"`
	}
},
) {
	d.t.Helper()
	d.poll(func() bool {
		got, body := d.ask("/readyz")
		if got == status {
			d.must(json.Unmarshal([]byte(body), &answer))
		}
		return got == status
	})
	return answer
}

// awaitMetric waits until /metrics has a line.
func (d *served) awaitMetric(line string) {
	d.t.Helper()
	d.poll(func() bool {
		_, body := d.ask("/metrics")
		return strings.Contains(body, line+"\n")
	})
}

// poll asks until the answer is as wanted.
func (d *served) poll(wanted func() bool) {
	d.t.Helper()
	d.pollFor(100*time.Second, wanted)
}

func (d *served) pollFor(limit time.Duration, wanted func() bool) {
	d.t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(limit)
	for !wanted() {
		select {
		case <-again.C:
		case <-deadline:
			_, ready := d.ask("/readyz")
			_, metrics := d.ask("/metrics")
			text, _ := d.log.read()
			d.t.Fatalf("the daemon does not come to it:\n%s%s%s", ready, metrics, text)
		}
	}
}
