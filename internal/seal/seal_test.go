package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/magento-copernica/syncd/internal/seal"
)

func TestKeyForms(t *testing.T) {
	t.Parallel()
	// Bytes that need both letters in which the base64 alphabets differ.
	raw := bytes.Repeat([]byte{0xfb, 0xff, 0xfe, 0x01}, seal.KeySize/4)
	reference, err := seal.New(base64.StdEncoding.EncodeToString(raw))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := reference.Seal([]byte("secret"), "row")
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{
		"standard":             base64.StdEncoding.EncodeToString(raw),
		"standard, no padding": base64.RawStdEncoding.EncodeToString(raw),
		"url":                  base64.URLEncoding.EncodeToString(raw),
		"url, no padding":      base64.RawURLEncoding.EncodeToString(raw),
		"hexadecimal":          hex.EncodeToString(raw),
		"upper hexadecimal":    strings.ToUpper(hex.EncodeToString(raw)),
		"newline at the end":   base64.StdEncoding.EncodeToString(raw) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box, err := seal.New(key)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := box.Open(sealed, "row"); err != nil || string(got) != "secret" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestWrongKeysAreExplainedAndNotShown(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"empty":         "",
		"blank":         " \n",
		"short":         base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 31)),
		"long":          base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 33)),
		"short hex":     strings.Repeat("ab", 31),
		"a password":    "correct horse battery staple!",
		"64 characters": strings.Repeat("zz", 32),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := seal.New(key)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), "openssl rand -base64 32") {
				t.Errorf("the error does not say how to make a key: %v", err)
			}
			if k := strings.TrimSpace(key); k != "" && strings.Contains(err.Error(), k) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	box, other := newBox(t), newBox(t)
	for _, size := range []int{0, 1, 32, 5000} {
		plain := bytes.Repeat([]byte("x"), size)
		sealed, err := box.Seal(plain, "sealed/hash_key")
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) != size+seal.Overhead {
			t.Errorf("%d bytes became %d, not %d", size, len(sealed), size+seal.Overhead)
		}
		if got, err := box.Open(sealed, "sealed/hash_key"); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("size %d: got %d bytes, %v", size, len(got), err)
		}
		if _, err := box.Open(sealed, "sealed/token"); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("another row opened it: %v", err)
		}
		if _, err := other.Open(sealed, "sealed/hash_key"); !errors.Is(err, seal.ErrOtherKey) {
			t.Errorf("another key: %v", err)
		}
		if !box.Sealed(sealed) || other.Sealed(sealed) {
			t.Error("the key identifier does not tell the boxes apart")
		}
	}
	one, _ := box.Seal([]byte("same"), "row")
	two, _ := box.Seal([]byte("same"), "row")
	if bytes.Equal(one, two) {
		t.Error("two seals of one plaintext are equal")
	}
}

// Every single changed bit and every cut is noticed.
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	box := newBox(t)
	sealed, err := box.Seal([]byte("secret"), "row")
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			if _, err := box.Open(changed, "row"); !errors.Is(err, seal.ErrDamaged) && !errors.Is(err, seal.ErrOtherKey) {
				t.Fatalf("byte %d bit %d: %v", i, bit, err)
			}
		}
		if _, err := box.Open(sealed[:i], "row"); !errors.Is(err, seal.ErrDamaged) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

func TestNewKeyIsUsableAndNew(t *testing.T) {
	t.Parallel()
	if one, two := seal.NewKey(), seal.NewKey(); one == two {
		t.Error("two new keys are equal")
	}
	newBox(t)
}

func TestABoxDoesNotPrintItsKey(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xa7}, seal.KeySize)
	box, err := seal.New(base64.StdEncoding.EncodeToString(raw))
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("box", "box", box)
	for _, s := range []string{
		logged.String(), fmt.Sprint(box), fmt.Sprintf("%+v", box), fmt.Sprintf("%#v", box), fmt.Sprintf("%x", box), fmt.Sprintf("%d", box),
	} {
		if strings.Contains(s, "a7a7") || strings.Contains(s, "167 167") || strings.Contains(s, "0xa7") {
			t.Errorf("a printed box shows its key: %s", s)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	box := newBox(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				sealed, err := box.Seal([]byte("secret"), "row")
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := box.Open(sealed, "row"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func newBox(t *testing.T) *seal.Box {
	t.Helper()
	box, err := seal.New(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return box
}
