//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockFile locks an open file for this process and returns the file's identity,
// which no other file has while somebody holds this one open.
func lockFile(f *os.File) (string, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return "", fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		for {
			if failed = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(failed, unix.EINTR) {
				return
			}
		}
	}); err != nil {
		return "", fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	if errors.Is(failed, unix.EWOULDBLOCK) {
		return "", errLocked
	}
	if failed != nil {
		return "", fmt.Errorf("lock %s: %w", f.Name(), failed)
	}
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", nil
	}
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino), nil
}
