//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sqlite

import (
	"io/fs"
	"syscall"
)

// ownerOf returns the user and group that a file belongs to.
func ownerOf(info fs.FileInfo) (owner, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return owner{}, false
	}
	return owner{user: int(stat.Uid), group: int(stat.Gid)}, true
}
