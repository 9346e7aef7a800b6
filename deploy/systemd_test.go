package deploy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// have reports whether programs are installed, and which is not.
func have(programs ...string) (missing string, ok bool) {
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return program, false
		}
	}
	return "", true
}

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

// machine is a systemd of its own, in namespaces of its own: what it mounts, runs and
// writes outside /tmp is gone with it. It shares the network, where the emulators are.
type machine struct {
	t    *testing.T
	pid  string // of its init
	root string // its file system, from outside
	tmp  string // shared with the test
}

// boot is what starts a machine. Units, generators and settings of the real one are
// covered, so that nothing but the tested units can start.
const boot = `set -eu
mount --make-rprivate /
mkdir /sys/fs/cgroup/systemd/$NAME
echo $$ >/sys/fs/cgroup/systemd/$NAME/cgroup.procs
exec unshare --cgroup --fork --kill-child --pid --mount --ipc --uts --mount-proc sh -c '
set -eu
units=/usr/lib/systemd/system
mkdir -p $TMP/bus && cp -L $units/dbus.service $units/dbus.socket $TMP/bus/
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd,xattr systemd /sys/fs/cgroup/systemd
mount -t tmpfs tmpfs /mnt && cp -a /etc/. /mnt/ && mount --move /mnt /etc
rm -rf /etc/systemd /etc/syncd && mkdir -p /etc/systemd/system
for covered in /run /var/lib /usr/local/bin $units /usr/lib/systemd/system-generators; do mount -t tmpfs -o mode=755 tmpfs $covered; done
mkdir -p /run/lock /run/out
cp $TMP/bus/* $units/
for target in boot sysinit basic sockets network-online nss-lookup shutdown multi-user timers; do
	printf "[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\n" >$units/$target.target
done
mount --make-rshared /
export container=syncd-test
exec /usr/lib/systemd/systemd --system --unit=boot.target --log-target=null --show-status=no
'`

// newMachine boots a machine, or returns why it cannot.
func newMachine(t *testing.T) (m *machine, why string) {
	t.Helper()
	if os.Getuid() != 0 {
		return nil, "namespaces with a systemd need root"
	}
	if missing, ok := have("unshare", "nsenter", "systemctl", "systemd-run", "dbus-daemon", "/usr/lib/systemd/systemd"); !ok {
		return nil, missing + " is not installed"
	}
	const hierarchy = "/sys/fs/cgroup/systemd"
	if _, err := os.Stat(hierarchy + "/cgroup.procs"); err != nil {
		return nil, "there is no control group hierarchy " + hierarchy
	}
	m = &machine{t: t, tmp: t.TempDir()}
	name := fmt.Sprintf("syncd-test-%d", os.Getpid())
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "sh", "-c", boot)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NAME=" + name, "TMP=" + m.tmp}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err.Error()
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // killed, or its output says why not
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		// The kernel empties the groups when the last process is reaped.
		within(t, "the control groups are empty", func() error {
			groups := filepath.Join(hierarchy, name)
			if _, err := os.Stat(groups); errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			out, err := exec.CommandContext(context.Background(), "find", groups, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").CombinedOutput()
			return errors.Join(err, fmt.Errorf("%s is looked at again: %s", groups, out))
		})
	})
	children := fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid)
	up := func() error {
		ids, _ := os.ReadFile(children)
		if m.pid = strings.TrimSpace(string(ids)); m.pid == "" {
			return errors.New("no init yet")
		}
		m.root = "/proc/" + m.pid + "/root"
		_, err := os.Stat(m.root + "/run/systemd/private")
		return err
	}
	for range 1200 {
		if up() == nil {
			return m, ""
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ended:
			return nil, "no systemd comes up in namespaces here: " + strings.TrimSpace(output.String())
		}
	}
	return nil, "a systemd in namespaces does not come up within a minute"
}

// within waits until something is so.
func within(t *testing.T, what string, so func() error) {
	t.Helper()
	var err error
	for range 1000 {
		if err = so(); err == nil {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
	t.Errorf("it is not so that %s: %v", what, err)
}

// do runs a command in the machine and returns its output and exit code.
func (m *machine) do(args ...string) (output string, code int) {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), "nsenter", append([]string{"--target", m.pid, "--mount", "--pid", "--"}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		m.t.Fatalf("%q: %v", args, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// must runs a command that has to succeed.
func (m *machine) must(args ...string) string {
	m.t.Helper()
	out, code := m.do(args...)
	if code != 0 {
		m.t.Fatalf("%q ended with %d: %s\n%s", args, code, out, m.logs())
	}
	return out
}

// logs returns what the units wrote.
func (m *machine) logs() string {
	var all strings.Builder
	names, _ := filepath.Glob(m.root + "/run/out/*")
	for _, name := range names {
		text, _ := os.ReadFile(name)
		fmt.Fprintf(&all, "%s:\n%s", filepath.Base(name), text)
	}
	return all.String()
}

// property returns what systemd says of a unit.
func (m *machine) property(unit, name string) string {
	m.t.Helper()
	return strings.TrimSpace(m.must("systemctl", "show", "--value", "--property="+name, unit))
}

// put writes a file of the machine.
func (m *machine) put(path, content string, mode fs.FileMode) {
	m.t.Helper()
	path = m.root + path
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), mode), os.Chmod(path, mode)); err != nil {
		m.t.Fatal(err)
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

// installed puts the files where docs/install.md has them, with the settings of one shop
// after another, and returns the address at which each answers.
func (m *machine) installed(shops ...string) map[string]string {
	t := m.t
	t.Helper()
	shop := emulate(t, "magento", "--customers", "40")
	account := emulate(t, "copernica")
	m.put("/usr/local/bin/syncd", read(t, binary), 0o755)
	m.put("/usr/local/bin/syncd-at", read(t, "systemd/syncd-at"), 0o755)
	m.put("/etc/systemd/system/syncd@.service", read(t, "systemd/syncd@.service"), 0o644)
	m.put("/etc/systemd/system/syncd@.timer", read(t, "systemd/syncd@.timer"), 0o644)
	// There is no journal here, and neither a restart nor a timer need be waited for.
	m.put("/etc/systemd/system/syncd@.service.d/test.conf", "[Service]\nStandardError=append:/run/out/%i.log\nRestartSec=100ms\n", 0o644)
	m.put("/etc/systemd/system/syncd@.timer.d/test.conf", "[Timer]\nOnActiveSec=\nOnActiveSec=0\nRandomizedDelaySec=0\n", 0o644)
	addresses := map[string]string{}
	for _, name := range shops {
		addresses[name] = freePort(t)
		env := strings.NewReplacer(
			"https://shop.example.com", word(t, `SYNCD_MAGENTO_BASE_URL=(\S+)`, shop),
			"127.0.0.1:8080", addresses[name],
		).Replace(read(t, "systemd/env.example")) +
			"SYNCD_COPERNICA_API_URL=" + word(t, `SYNCD_COPERNICA_API_URL=(\S+)`, account) + "\n" +
			"SYNCD_COPERNICA_AUTH_URL=" + word(t, `SYNCD_COPERNICA_AUTH_URL=(\S+)`, account) + "\n"
		m.put("/etc/syncd/"+name+"/env", env, 0o644)
		secrets := "/etc/syncd/" + name + "/secrets"
		if err := os.MkdirAll(m.root+secrets, 0o700); err != nil {
			t.Fatal(err)
		}
		for file, secret := range map[string]string{
			"magento_consumer_key":        word(t, `consumer key (\w+)`, shop),
			"magento_consumer_secret":     word(t, `consumer secret (\w+)`, shop),
			"magento_access_token":        word(t, `SYNCD_MAGENTO_ACCESS_TOKEN=(\S+)`, shop),
			"magento_access_token_secret": word(t, `access token secret (\w+)`, shop),
			"copernica_access_token":      word(t, `SYNCD_COPERNICA_ACCESS_TOKEN=(\S+)`, account),
		} {
			m.put(secrets+"/"+file, secret+"\n", 0o600)
		}
	}
	m.must("systemctl", "daemon-reload")
	m.must("systemctl", "start", "dbus.service")
	return addresses
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

// restored loses the state of a shop that is stopped, and gives it back as
// docs/install.md says.
func (m *machine) restored(shop, base string) {
	m.t.Helper()
	state := "/var/lib/private/syncd/" + shop
	m.must("cp", "-a", state, "/run/backup")
	m.must("rm", "-r", state)
	m.must("syncd-at", shop, "version")
	m.must("sh", "-c", "install -m 600 /run/backup/syncd.db /run/backup/syncd.db.key "+state+"/ && chown --reference="+state+" "+state+"/*")
	m.must("systemctl", "start", "syncd@"+shop)
	within(m.t, "the restored state is fresh", func() error {
		if status, body, err := get(m.t, base+"/readyz"); err != nil || status != http.StatusOK {
			return fmt.Errorf("%d, %v: %s", status, err, body) //nolint:errorlint // err may be nil
		}
		return nil
	})
	if log := m.logs(); strings.Count(log, "new state created") != 1 {
		m.t.Errorf("the restored state was not used: %s", log)
	}
	m.must("systemctl", "stop", "syncd@"+shop)
}
