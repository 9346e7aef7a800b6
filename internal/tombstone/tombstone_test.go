package tombstone_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/internal/tombstone"
	"github.com/magento-copernica/syncd/state"
)

// yard is a folder with a tombstone file.
type yard struct {
	path string
	box  *seal.Box
	log  bytes.Buffer
}

func newYard(t *testing.T) *yard {
	t.Helper()
	box, err := seal.New(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return &yard{path: filepath.Join(t.TempDir(), "tombstones"), box: box}
}

// open opens the file for a shop, whose key it gives if the file has none.
func (y *yard) open(t *testing.T, shop string) *tombstone.File {
	t.Helper()
	f, err := tombstone.New(tombstone.Config{Path: y.path, Pipeline: shop, Box: y.box, Log: slog.New(slog.NewTextHandler(&y.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if f.Key() == nil {
		f.Use(keyOf(shop))
	}
	return f
}

func keyOf(shop string) []byte {
	return append([]byte(shop), make([]byte, state.HasherKeySize-len(shop))...)
}

func (y *yard) text(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(y.path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cut takes the end off the file, as a crash may.
func (y *yard) cut(t *testing.T, bytes int) {
	t.Helper()
	if err := os.Truncate(y.path, int64(len(y.text(t))-bytes)); err != nil {
		t.Fatal(err)
	}
}

func stone(n byte, minute int) state.Tombstone {
	return state.Tombstone{Person: state.Hash{0: n, 15: n}, At: time.Date(2026, 11, 22, 8, minute, 0, 123e6, time.UTC)}
}

func bury(t *testing.T, f *tombstone.File, stones ...state.Tombstone) {
	t.Helper()
	if err := f.Bury(stones); err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, f *tombstone.File, want ...state.Tombstone) {
	t.Helper()
	got, err := f.Stones(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b state.Tombstone) int { return bytes.Compare(a.Person[:], b.Person[:]) })
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatWasBuriedIsReadAgain(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	f := y.open(t, "shop")
	has(t, f)
	if _, err := os.Stat(y.path); err == nil {
		t.Error("reading made the file")
	}
	bury(t, f)
	if _, err := os.Stat(y.path); err == nil {
		t.Error("nobody made the file")
	}
	bury(t, f, stone(1, 1), stone(2, 2))
	bury(t, f, stone(1, 5))
	bury(t, f, stone(2, 1))
	has(t, f, stone(1, 5), stone(2, 2))
	again := y.open(t, "shop")
	if !bytes.Equal(again.Key(), keyOf("shop")) {
		t.Errorf("the key is %x", again.Key())
	}
	has(t, again, stone(1, 5), stone(2, 2))
	info, err := os.Stat(y.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if n := strings.Count(y.text(t), "@key"); n != 1 {
		t.Errorf("the key stands there %d times", n)
	}
	if strings.Contains(y.text(t), "shop\x00") || strings.Contains(y.text(t), hex.EncodeToString(keyOf("shop"))) {
		t.Error("the key is readable")
	}
}

func TestShopsShareAFile(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	var all sync.WaitGroup
	shops := []string{"one", "two", "key", "shop", "shop2"}
	for i, shop := range shops {
		all.Go(func() {
			f, err := tombstone.New(tombstone.Config{Path: y.path, Pipeline: shop, Box: y.box})
			if err != nil {
				t.Error(err)
				return
			}
			f.Use(keyOf(shop))
			for n := range 50 {
				if err := f.Bury([]state.Tombstone{stone(byte(i), n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for i, shop := range shops {
		f := y.open(t, shop)
		if !bytes.Equal(f.Key(), keyOf(shop)) {
			t.Errorf("the key of %s is %q", shop, f.Key())
		}
		has(t, f, stone(byte(i), 49))
	}
	if y.log.Len() > 0 {
		t.Error(y.log.String())
	}
}

// A crash may leave any beginning of what was being written. Nothing before it is lost,
// and nothing that comes later.
func TestALineThatACrashCutOffIsPassedOver(t *testing.T) {
	t.Parallel()
	whole := newYard(t)
	bury(t, whole.open(t, "shop"), stone(1, 1))
	before := len(whole.text(t))
	bury(t, whole.open(t, "shop"), stone(2, 2))
	line := len(whole.text(t)) - before
	for lost := range line + 1 {
		y := newYard(t)
		bury(t, y.open(t, "shop"), stone(1, 1))
		bury(t, y.open(t, "shop"), stone(2, 2))
		y.cut(t, lost)
		f := y.open(t, "shop")
		if lost <= 1 { // all but the end of the line
			has(t, f, stone(1, 1), stone(2, 2))
		} else {
			has(t, f, stone(1, 1))
		}
		bury(t, f, stone(3, 3))
		if lost <= 1 {
			has(t, f, stone(1, 1), stone(2, 2), stone(3, 3))
		} else {
			has(t, f, stone(1, 1), stone(3, 3))
		}
	}
}

func TestAFileThatACrashLeftAtItsBeginning(t *testing.T) {
	t.Parallel()
	whole := newYard(t)
	bury(t, whole.open(t, "shop"), stone(1, 1))
	text := whole.text(t)
	first := strings.Index(text, "\nshop ") + 1
	for kept := range first {
		y := newYard(t)
		y.box = whole.box
		if err := os.WriteFile(y.path, []byte(text[:kept]), 0o600); err != nil {
			t.Fatal(err)
		}
		bury(t, y.open(t, "shop"), stone(2, 2))
		f := y.open(t, "shop")
		if !bytes.Equal(f.Key(), keyOf("shop")) {
			t.Fatalf("%d bytes were left: the key is %x", kept, f.Key())
		}
		has(t, f, stone(2, 2))
	}
}

func TestDamagedLinesAreTold(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	bury(t, y.open(t, "shop"), stone(1, 1), stone(2, 2))
	text := strings.Replace(y.text(t), "shop 02", "shop zz", 1) + "# a remark\n\nshop\nshop x\nothers 1\n" + strings.Repeat("x", 200_000) + "\n"
	if err := os.WriteFile(y.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	has(t, y.open(t, "shop"), stone(1, 1))
	if !strings.Contains(y.log.String(), "lines=2") || !strings.Contains(y.log.String(), "first_line=4") {
		t.Error(y.log.String())
	}
}

func TestAFileThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	other, err := seal.New(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		spoil func(y *yard, text string) string
		says  string
	}{
		"of another encryption key": {func(y *yard, text string) string { y.box = other; return text }, "SYNCD_ENCRYPTION_KEY"},
		"without its key": {func(_ *yard, text string) string {
			lines := strings.Split(text, "\n")
			return strings.Join(append(lines[:1], lines[2:]...), "\n")
		}, "restore it from a backup"},
		"of two states": {func(y *yard, text string) string {
			second := newYard(t)
			second.box = y.box
			f, err := tombstone.New(tombstone.Config{Path: second.path, Pipeline: "shop", Box: y.box})
			if err != nil {
				t.Fatal(err)
			}
			f.Use(keyOf("else"))
			bury(t, f, stone(9, 9))
			return text + second.text(t)
		}, "two keys"},
	} {
		y := newYard(t)
		bury(t, y.open(t, "shop"), stone(1, 1))
		text := tc.spoil(y, y.text(t))
		if err := os.WriteFile(y.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := tombstone.New(tombstone.Config{Path: y.path, Pipeline: "shop", Box: y.box})
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	y := newYard(t)
	y.path = filepath.Join(y.path, "nowhere", "file")
	if err := y.open(t, "shop").Bury([]state.Tombstone{stone(1, 1)}); err == nil {
		t.Error("a folder that is not there was written to")
	}
	if _, err := tombstone.New(tombstone.Config{Path: t.TempDir(), Pipeline: "shop", Box: y.box}); err == nil {
		t.Error("a folder is no file")
	}
	for _, cfg := range []tombstone.Config{{}, {Path: "x"}, {Path: "x", Pipeline: "shop"}} {
		if _, err := tombstone.New(cfg); err == nil {
			t.Error(fmt.Sprint(cfg.Path, cfg.Pipeline), "was enough")
		}
	}
}
