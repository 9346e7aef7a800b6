package deploy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

// erasing has a shop erase people, with the tombstone file where the settings suggest it.
func (m *machine) erasing(shop string) {
	m.t.Helper()
	const path = "/etc/syncd/%s/env"
	env := read(m.t, m.root+fmt.Sprintf(path, shop))
	for _, setting := range []string{"ERASURE", "TOMBSTONE_FILE", "ENCRYPTION_KEY_FILE"} {
		env = strings.Replace(env, "\n#SYNCD_"+setting+"=", "\nSYNCD_"+setting+"=", 1)
	}
	m.put(fmt.Sprintf(path, shop), strings.ReplaceAll(env, "/acme/", "/"+shop+"/"), 0o644)
	m.put("/etc/syncd/"+shop+"/secrets/encryption_key", strings.Repeat("0123456789abcdef", 4)+"\n", 0o600)
}
