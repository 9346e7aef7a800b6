package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// errLocked says that another open file has the lock.
var errLocked = errors.New("locked by another process")

// heldLock is the file lock of a lease that this Store took.
type heldLock struct {
	fence int64
	lock  *fileLock
}

// fileLock is a lock on an open file. The system drops it when the file is closed,
// also with the process. A nil *fileLock is no lock.
type fileLock struct {
	file *os.File
	// id tells the file from one that was put in its place later. Empty where the
	// system has no such locks.
	id string
}

// unlock drops the lock. The file stays: removing it would let two processes lock
// two files of one name.
func (l *fileLock) unlock() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

// openLock opens the file to lock, which lies beside the database, and locks it, or
// returns errLocked at once.
func openLock(path, database string) (*fileLock, error) {
	f, err := lockable(path, database)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	id, err := lockFile(f)
	if err != nil {
		f.Close() //nolint:errcheck // nothing was written
		return nil, err
	}
	return &fileLock{file: f, id: id}, nil
}

// lockable opens the file to lock, and makes it if it is not there.
func lockable(path, database string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		give(f, database)
		return f, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if f, err = os.OpenFile(path, os.O_RDWR, 0); errors.Is(err, fs.ErrPermission) {
		return nil, foreign(path, database, err)
	}
	return f, err
}

// waitLock waits for a lock that is only ever held for moments.
func waitLock(ctx context.Context, path, database string) (*fileLock, error) {
	const pause, patience = 10 * time.Millisecond, 30 * time.Second
	tick := time.NewTicker(pause)
	defer tick.Stop()
	give := time.NewTimer(patience)
	defer give.Stop()
	for {
		lock, err := openLock(path, database)
		if !errors.Is(err, errLocked) {
			return lock, err
		}
		select {
		case <-tick.C:
		case <-give.C:
			return nil, fmt.Errorf("%s: another process has been opening the state for %s: stop it or try again: %w", path, patience, err)
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s: %w", path, ctx.Err())
		}
	}
}
