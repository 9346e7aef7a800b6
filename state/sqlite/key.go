package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/state"
)

// lost is the way out when no backup has the key. A new state finds by the census that
// Copernica holds profiles it does not know, and looks each one up before it writes.
const lost = "lost for good? move the database away and run again with the same SYNCD_SHOP: no profile is doubled (docs/operations.md)"

// memoryBox returns the box of a state in memory: its key lives as long.
func memoryBox(key string) (*seal.Box, error) {
	if key == "" {
		key = seal.NewKey()
	}
	return seal.New(key)
}

// fileBox returns the box of a file database. Only for a new one is a key file made.
func fileBox(ctx context.Context, cfg Config, fresh bool) (*seal.Box, error) {
	if cfg.EncryptionKey != "" {
		return seal.New(cfg.EncryptionKey)
	}
	path := cfg.Path + keySuffix
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !fresh {
			return nil, fmt.Errorf("%w: %s has no key: restore %s, which was made together with it, or set the SYNCD_ENCRYPTION_KEY it was made with; %s",
				state.ErrKey, cfg.Path, path, lost)
		}
		if key, err = makeKey(path, cfg.Path); err != nil {
			return nil, err
		}
		cfg.Log.InfoContext(ctx, "key file made, back it up together with the state", "path", path)
	}
	if err != nil {
		return nil, err
	}
	box, err := seal.New(key)
	if err != nil {
		if fresh {
			return nil, fmt.Errorf("%w: the key file %s is damaged and no state needs it: remove it: %w", state.ErrKey, path, err)
		}
		// The box says how to make a new key, which would not open this state.
		return nil, fmt.Errorf("%w: the key file %s is damaged, it holds no key: restore it from a backup; %s", state.ErrKey, path, lost)
	}
	return box, nil
}

// readKey reads a key file that nobody else may read.
func readKey(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", state.ErrKey, err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("%w: %w", state.ErrKey, err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%w: %s is not a file", state.ErrKey, path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 && runtime.GOOS != "windows" {
		return "", fmt.Errorf("%w: the key file %s may be read by others (mode %04o): run `chmod 600 %s`", state.ErrKey, path, perm, path)
	}
	const enough = 1024 // a key has at most 64 characters
	text, err := io.ReadAll(io.LimitReader(f, enough))
	if err != nil {
		return "", fmt.Errorf("%w: %w", state.ErrKey, err)
	}
	return string(text), nil
}

// makeKey writes a new key file and returns its key once both the file and its
// name are on disk.
func makeKey(path, database string) (string, error) {
	key, building := seal.NewKey(), path+newSuffix
	if err := os.Remove(building); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("make the key file: %w", err)
	}
	f, err := os.OpenFile(building, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("make the key file: %w", err)
	}
	give(f, database)
	_, err = f.WriteString(key + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("make the key file: %w", err)
	}
	if err := os.Rename(building, path); err != nil {
		return "", fmt.Errorf("make the key file: %w", err)
	}
	return key, syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be opened for this there
	}
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}
