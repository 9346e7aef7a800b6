// Package tombstone keeps outside the state who was erased (promise 19). A state that is
// restored from an older copy, or made anew, reads it at its start and brings nobody back.
//
// The file is text and is only ever appended to. Each line tells of one shop, so that
// several shops may share a file, and their processes may write to it at the same time:
//
//	# anything                                  passed over
//	@key shop q83vASNF…                         the key of that shop's hashes, sealed
//	shop 0123…cdef 2026-11-22T08:00:00.000Z     a person of that shop, and when
//
// Persons are keyed hashes. Their key lies in the file, sealed with the operator's
// encryption key, since the key of a state that is lost is lost with it. What was added is
// on the disk when [File.Bury] returns. A line that a crash cut off is passed over, and the
// next one begins behind it.
package tombstone

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/state"
)

// Config of a File. All but Log are required.
type Config struct {
	Path     string
	Pipeline string    // the shop whose lines are read and written
	Box      *seal.Box // seals the key of the hashes
	Log      *slog.Logger
}

// File is a tombstone file. It is safe for concurrent use, also by several processes.
type File struct {
	cfg Config
	key []byte // nil: nobody has set one

	mu  sync.Mutex // held while lines are added
	has bool       // the file holds the key
}

const (
	keyMark    = "@key "
	timeLayout = "2006-01-02T15:04:05.000Z" // of UTC
	preface    = "# syncd keeps here who was erased: keyed hashes, no personal data. Back it up apart from the state, and never edit it.\n"
)

// New reads the key of the shop's hashes out of a file, which need not be there.
func New(cfg Config) (*File, error) {
	if cfg.Path == "" || cfg.Pipeline == "" || cfg.Box == nil {
		return nil, errors.New("tombstone: path, pipeline and box are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	f := &File{cfg: cfg}
	var locked error
	stones := 0
	err := f.lines(func(_ int, line string) error {
		text, ok := strings.CutPrefix(line, keyMark+cfg.Pipeline+" ")
		if !ok {
			if strings.HasPrefix(line, cfg.Pipeline+" ") {
				stones++
			}
			return nil
		}
		key, err := f.unseal(text)
		switch {
		case errors.Is(err, seal.ErrOtherKey):
			locked = err
		case err != nil: // cut off by a crash: another one follows
		case f.key != nil && !bytes.Equal(f.key, key):
			return fmt.Errorf("%s holds two keys for the shop %s: two states wrote to it; start from the copy of the file that only one of them wrote to", cfg.Path, cfg.Pipeline)
		default:
			f.key, f.has = key, true
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case f.key == nil && locked != nil:
		return nil, fmt.Errorf("%s was written with another SYNCD_ENCRYPTION_KEY: give the one that it was made with, or name another file", cfg.Path)
	case f.key == nil && stones > 0:
		return nil, fmt.Errorf("%s has lost the key of its lines: restore it from a backup, or name another file, which is made whole from the state", cfg.Path)
	}
	return f, nil
}

// Key returns the key of the shop's hashes, or nil when the file has none yet.
func (f *File) Key() []byte { return f.key }

// Use gives a file that has no key the one that its lines are hashed with. It is called
// before the first [File.Bury], with which it is written.
func (f *File) Use(key []byte) { f.key = key }

// Bury adds tombstones. When it returns without an error they are on the disk.
func (f *File) Bury(stones []state.Tombstone) error {
	if len(stones) == 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.append(stones); err != nil {
		return fmt.Errorf("add to the tombstone file: %w", err)
	}
	return nil
}

func (f *File) append(stones []state.Tombstone) (err error) {
	if f.key == nil {
		return errors.New("it has no key")
	}
	_, err = os.Stat(f.cfg.Path)
	fresh := errors.Is(err, fs.ErrNotExist)
	file, err := os.OpenFile(f.cfg.Path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	var b bytes.Buffer
	switch cut, empty, err := torn(file); {
	case err != nil:
		return err
	case cut:
		b.WriteByte('\n')
	case empty:
		b.WriteString(preface)
		fresh = true
	}
	if fresh || !f.has {
		sealed, err := f.cfg.Box.Seal(f.key, f.row())
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s%s %s\n", keyMark, f.cfg.Pipeline, base64.StdEncoding.EncodeToString(sealed))
	}
	for _, stone := range stones {
		fmt.Fprintf(&b, "%s %x %s\n", f.cfg.Pipeline, stone.Person[:], stone.At.UTC().Format(timeLayout))
	}
	// One write, which the system puts behind those of other processes as a whole.
	if _, err := file.Write(b.Bytes()); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	f.has = true
	if fresh {
		return syncDir(filepath.Dir(f.cfg.Path))
	}
	return nil
}

// torn reports whether a file ends within a line, or is empty.
func torn(file *os.File) (cut, empty bool, err error) {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return false, true, err
	}
	var last [1]byte
	if _, err := file.ReadAt(last[:], info.Size()-1); err != nil {
		return false, false, err
	}
	return last[0] != '\n', false, nil
}

// syncDir has a folder remember a file that was made in it.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Stones returns the shop's tombstones, each person once with the latest time.
func (f *File) Stones(ctx context.Context) ([]state.Tombstone, error) {
	latest := map[state.Hash]time.Time{}
	var damaged []int
	err := f.lines(func(n int, line string) error {
		rest, ok := strings.CutPrefix(line, f.cfg.Pipeline+" ")
		if !ok {
			return ctx.Err()
		}
		stone, ok := parse(rest)
		switch {
		case !ok:
			damaged = append(damaged, n)
		case stone.At.After(latest[stone.Person]):
			latest[stone.Person] = stone.At
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(damaged) > 0 {
		f.cfg.Log.Warn("the tombstone file has lines that cannot be read, as a crash may leave one: they are passed over",
			"path", f.cfg.Path, "lines", len(damaged), "first_line", damaged[0])
	}
	stones := make([]state.Tombstone, 0, len(latest))
	for person, at := range latest {
		stones = append(stones, state.Tombstone{Person: person, At: at})
	}
	return stones, nil
}

// parse reads what stands behind the shop's code.
func parse(rest string) (state.Tombstone, bool) {
	person, at, ok := strings.Cut(rest, " ")
	sum, err := hex.DecodeString(person)
	when, wrong := time.Parse(timeLayout, at)
	if !ok || err != nil || wrong != nil || len(sum) != len(state.Hash{}) {
		return state.Tombstone{}, false
	}
	return state.Tombstone{Person: state.Hash(sum), At: when}, true
}

// lines calls do with each whole line and its number. A file that is not there has none.
func (f *File) lines(do func(n int, line string) error) error {
	const longest = 64 << 10
	file, err := os.Open(f.cfg.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the tombstone file: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	r := bufio.NewReaderSize(file, longest)
	for n := 1; ; n++ {
		line, err := r.ReadString('\n')
		if text, whole := strings.CutSuffix(line, "\n"); whole || line != "" {
			if err := do(n, text); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the tombstone file: %w", err)
		}
	}
}

// unseal opens a key as it stands in the file.
func (f *File) unseal(text string) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	key, err := f.cfg.Box.Open(sealed, f.row())
	if err == nil && len(key) != state.HasherKeySize {
		return nil, seal.ErrDamaged
	}
	return key, err
}

// row is what the sealed key is bound to.
func (f *File) row() string { return "tombstones:" + f.cfg.Pipeline }
