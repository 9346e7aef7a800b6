//go:build unix

package sqlite_test

import (
	"os/exec"
	"syscall"
	"testing"
)

// stop stops a process without ending it.
func stop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}
