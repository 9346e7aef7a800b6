package deploy_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestUnitExposure holds the score that systemd gives the unit, 0 being the safest.
func TestUnitExposure(t *testing.T) {
	t.Parallel()
	if missing, ok := have("systemd-analyze"); !ok {
		notRun(t, "systemd-analyze security and verify", missing+" is not installed")
		return
	}
	_, _ = read(t, "systemd/syncd@.service"), read(t, "systemd/syncd@.timer") // the test cache must know them
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=15", "systemd/syncd@.service").CombinedOutput()
	if err != nil {
		t.Errorf("the exposure is above 1.5: %v\n%s", err, out)
	}
	t.Log(regexp.MustCompile(`Overall exposure.*`).FindString(string(out)))

	out, _ = exec.CommandContext(t.Context(), "systemd-analyze", "verify", "systemd/syncd@.service", "systemd/syncd@.timer").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "Command /usr/local/bin/syncd is not executable") { // it is installed by the operator
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
}

// emulate starts one of the emulators and returns what it prints.
func emulate(t *testing.T, which string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"emulate", which}, args...)...)
	var stdout, stderr output
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	within(t, which+" is served", func() error {
		if !strings.Contains(stderr.String(), "serving") {
			return errors.New("not yet")
		}
		return nil
	})
	return stdout.String()
}

// word returns what a pattern captures.
func word(t *testing.T, pattern, text string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in %s", pattern, text)
	}
	return m[1]
}

// freePort returns an address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // it was only asked for its address
	return l.Addr().String()
}

// get returns an answer of the daemon.
func get(t *testing.T, url string) (status int, body string, err error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), errors.Join(err, response.Body.Close())
}

// TestUnderSystemd walks docs/install.md under a systemd of its own: the daemon works
// with all its limits on, is ready when it says so, takes its settings again, comes back
// after a crash, and stays down when only a person can mend it.
func TestUnderSystemd(t *testing.T) {
	t.Parallel()
	m, why := newMachine(t)
	if m == nil {
		notRun(t, "the daemon under the limits of its unit", why)
		return
	}
	addresses := m.installed("acme", "night", "wrong")

	m.must("syncd-at", "acme", "provision")
	if out, code := m.do("syncd-at", "acme", "check"); code != 0 || strings.Contains(out, "✗") {
		t.Errorf("check ended with %d: %s", code, out)
	}
	m.erasing("night")
	if out, code := m.do("syncd-at", "night", "check"); code != 0 || !strings.Contains(out, "remove, and /var/lib/syncd-tombstones/night/tombstones keeps who was erased") {
		t.Errorf("check with a tombstone file ended with %d: %s", code, out)
	}
	m.must("systemctl", "start", "syncd@acme")
	base := "http://" + addresses["acme"]
	within(t, "the first pass is over", func() error {
		if status, body, err := get(t, base+"/readyz"); err != nil || status != http.StatusOK {
			return fmt.Errorf("%d, %v: %s", status, err, body) //nolint:errorlint // err may be nil
		}
		return nil
	})
	if _, metrics, err := get(t, base+"/metrics"); err != nil || !strings.Contains(metrics, "\nprocess_resident_memory_bytes ") {
		t.Errorf("the metrics lack those of the process: %v", err)
	}
	if out := m.must("syncd-at", "acme", "status", "--max-lag", "1h"); !strings.Contains(out, "profile: ") {
		t.Errorf("nothing was delivered: %s", out)
	}

	pid := m.property("syncd@acme", "MainPID")
	process, _ := m.do("cat", "/proc/"+pid+"/status")
	for _, line := range []string{`CapBnd:\t0+\n`, `CapEff:\t0+\n`, `NoNewPrivs:\t1\n`, `Seccomp:\t2\n`} {
		if !regexp.MustCompile(line).MatchString(process) {
			t.Errorf("the daemon runs without %s: %s", line, process)
		}
	}
	if uid := word(t, `Uid:\t(\d+)`, process); uid == "0" {
		t.Error("the daemon runs as root")
	}
	state, err := os.Stat(m.root + "/var/lib/private/syncd/acme")
	if err != nil || state.Mode().Perm() != 0o700 {
		t.Errorf("the state's folder: %v, %v", state, err)
	}

	m.must("systemctl", "reload", "syncd@acme")
	within(t, "the settings are read again", func() error {
		if !strings.Contains(m.logs(), "the settings were read again\"") {
			return errors.New(m.logs())
		}
		return nil
	})
	m.must("systemctl", "kill", "--signal=KILL", "syncd@acme")
	within(t, "the daemon is back after a crash", func() error {
		again, state := m.property("syncd@acme", "MainPID"), m.property("syncd@acme", "ActiveState")
		if again == pid || again == "0" || state != "active" {
			return fmt.Errorf("process %s, %s", again, state)
		}
		return nil
	})
	m.must("systemctl", "stop", "syncd@acme")
	if result := m.property("syncd@acme", "Result"); result != "success" {
		t.Errorf("the stop ended in %s", result)
	}

	m.restored("acme", base)

	m.put("/etc/systemd/system/syncd@night.service.d/timer.conf", read(t, "systemd/timer.conf"), 0o644)
	m.must("systemctl", "daemon-reload")
	m.must("systemctl", "start", "syncd@night.timer")
	within(t, "the timer has run a shop", func() error {
		if m.property("syncd@night", "ExecMainExitTimestampMonotonic") == "0" {
			return errors.New("it has not ended yet: " + m.logs())
		}
		return nil
	})
	if code := m.property("syncd@night", "ExecMainStatus"); code != "0" && code != "4" || m.property("syncd@night", "Result") != "success" {
		t.Errorf("the run of the timer ended with %s: %s", code, m.logs())
	}
	if _, err := os.Stat(m.root + "/var/lib/private/syncd/night/syncd.db"); err != nil {
		t.Errorf("the state is not in its own folder: %v", err)
	}

	m.put("/etc/syncd/wrong/env", "SYNCD_MAGENTO_BASE_ULR=https://shop.example.com\n", 0o644)
	if out, code := m.do("systemctl", "start", "syncd@wrong"); code == 0 {
		t.Errorf("a wrong setting starts: %s", out)
	}
	if code, state := m.property("syncd@wrong", "ExecMainStatus"), m.property("syncd@wrong", "ActiveState"); code != "2" || state != "failed" {
		t.Errorf("a wrong setting ends with %s and leaves the unit %s: %s", code, state, m.logs())
	}
	if out, code := m.do("syncd-at", "wrong", "check"); code != 3 && code != 2 {
		t.Errorf("check of a wrong setting ends with %d: %s", code, out)
	}
	if restarts, _ := strconv.Atoi(m.property("syncd@wrong", "NRestarts")); restarts != 0 {
		t.Errorf("a wrong setting was tried again %d times", restarts)
	}
}
