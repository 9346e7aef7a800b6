//go:build linux

package sqlite_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state/sqlite"
)

// nobody is the user, and the group, that a state belongs to where the test may give
// files away; elsewhere it is whoever runs the test.
func nobody() int {
	if uid := os.Geteuid(); uid != 0 {
		return uid
	}
	return 65534
}

// Root may look at a state without locking out the user it belongs to.
func TestFilesBelongToTheOwnerOfTheDatabase(t *testing.T) {
	t.Parallel()
	path, _ := made(t, sqlite.Config{})
	if os.Geteuid() == 0 {
		for _, name := range []string{"", ".key"} {
			if err := os.Chown(path+name, nobody(), nobody()); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove(".lock")(t, path)
	s := openShop(t, sqlite.Config{Path: path})
	if _, err := s.Acquire(t.Context(), "shop", "me", time.Hour); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 6 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != nobody() {
			t.Errorf("%s belongs to %d, the database to %d", name, uid, nobody())
		}
	}
}

// What a link leads to is not given away.
func TestALinkInPlaceOfALockIsNotFollowed(t *testing.T) {
	t.Parallel()
	path, _ := made(t, sqlite.Config{})
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, nobody(), nobody()); err != nil {
			t.Fatal(err)
		}
	}
	remove(".lock")(t, path)
	if err := os.Symlink(other, path+".lock"); err != nil {
		t.Fatal(err)
	}
	openShop(t, sqlite.Config{Path: path})
	info, err := os.Stat(other)
	if err != nil {
		t.Fatal(err)
	}
	if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != os.Geteuid() {
		t.Errorf("the file behind the link was given to %d", uid)
	}
}

// A lock file that this user may not open is named, with what mends it. Root may open
// any file, so a process of another user looks.
func TestALockFileOfAnotherUser(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "syncd-owner") //nolint:usetesting // that of the test is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "state.db")
	open(t, sqlite.Config{Path: path}).Close()
	mode(".lock", 0o000)(t, path)
	command := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^$")
	if os.Geteuid() == 0 {
		for _, name := range []string{dir, path, path + ".key"} {
			if err := os.Chown(name, nobody(), nobody()); err != nil {
				t.Fatal(err)
			}
		}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(nobody()), Gid: uint32(nobody())}}
	}
	command.Dir = dir
	command.Env = []string{pathVariable + "=" + path}
	out, err := command.CombinedOutput()
	id := strconv.Itoa(nobody())
	if err == nil || !strings.Contains(string(out), path+".lock") || !strings.Contains(string(out), "chown "+id+":") {
		t.Errorf("%v: %s", err, out)
	}
}
