package state_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

func newHasher(t *testing.T, fill byte) state.Hasher {
	t.Helper()
	h, err := state.NewHasher(bytes.Repeat([]byte{fill}, state.HasherKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// No two different contents run together, whatever their parts.
func TestHasherTellsContentsApart(t *testing.T) {
	t.Parallel()
	h := newHasher(t, 1)
	seen := make(map[state.Hash]string)
	for name, sum := range map[string]state.Hash{
		"nothing":              h.Sum("d"),
		"one empty part":       h.Sum("d", ""),
		"two empty parts":      h.Sum("d", "", ""),
		"one part":             h.Sum("d", "ab"),
		"split":                h.Sum("d", "a", "b"),
		"split elsewhere":      h.Sum("d", "", "ab"),
		"split at the end":     h.Sum("d", "ab", ""),
		"swapped":              h.Sum("d", "b", "a"),
		"another domain":       h.Sum("e", "ab"),
		"part in the domain":   h.Sum("dab"),
		"another key":          newHasher(t, 2).Sum("d", "ab"),
		"a length that looks":  h.Sum("d", "\x01\x00\x00\x00\x00\x00\x00\x00a"),
		"a length, then parts": h.Sum("d", "\x01", "a"),
	} {
		if other, ok := seen[sum]; ok {
			t.Errorf("%s and %s have one hash", name, other)
		}
		if sum.IsZero() {
			t.Errorf("%s has the hash that means never", name)
		}
		seen[sum] = name
	}
	if again := newHasher(t, 1).Sum("d", "ab"); again != h.Sum("d", "ab") {
		t.Error("one content has two hashes")
	}
}

// The ledgers in the field hold hashes: a change of the function would write every
// record again.
func TestHasherIsStable(t *testing.T) {
	t.Parallel()
	const want = "9019cb0c3f4551bf46263dafd5deb789"
	if got := newHasher(t, 1).Sum("profile", "Ada", "", "é"); hexOf(got) != want {
		t.Errorf("got %s", hexOf(got))
	}
}

func hexOf(h state.Hash) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range h {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func TestHasherDerivesKeys(t *testing.T) {
	t.Parallel()
	one, two := newHasher(t, 1), newHasher(t, 2)
	key := one.Key("persons")
	if len(key) != state.HasherKeySize || !bytes.Equal(key, one.Key("persons")) {
		t.Errorf("%d bytes, %x and %x", len(key), key, one.Key("persons"))
	}
	if bytes.Equal(key, one.Key("others")) || bytes.Equal(key, two.Key("persons")) {
		t.Error("another purpose or another hasher gives the same key")
	}
}

func TestHasherNeedsAWholeKey(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, state.HasherKeySize - 1, state.HasherKeySize + 1} {
		if _, err := state.NewHasher(make([]byte, size)); err == nil {
			t.Errorf("a key of %d bytes was accepted", size)
		}
	}
}

func TestValidKey(t *testing.T) {
	t.Parallel()
	for key, valid := range map[string]bool{
		"shop-c1": true, "é": true, " ": true, "'": true, "": false, "a\x00": false, "\xff": false, "\xc3": false,
	} {
		if err := state.ValidKey(key); (err == nil) != valid {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// The number of an order is any text: a shop may begin it with zeros, letters or nothing.
func TestValidNumber(t *testing.T) {
	t.Parallel()
	for number, valid := range map[string]bool{
		"000000001": true, "": true, "AB-1/é": true, strings.Repeat("9", 255): true,
		strings.Repeat("9", 256): false, "1\x00": false, "1\xff": false,
	} {
		if err := state.ValidNumber(number); (err == nil) != valid {
			t.Errorf("%q: %v", number, err)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		says []string
	}{
		"held":   {&state.HeldError{Pipeline: "shop", Holder: "host:1", Expires: time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))}, []string{"shop", "host:1", "2025-12-31T23:00:00Z", "stop"}},
		"target": {&state.TargetError{Pipeline: "shop", Have: "one", Want: "two"}, []string{"shop", "one", "two", "SYNCD_COPERNICA_DATABASE", "SYNCD_DATABASE_URL"}},
		"shop":   {&state.ShopError{Have: "one", Want: "two"}, []string{"one", "two", "SYNCD_SHOP"}},
	} {
		for _, words := range test.says {
			if !strings.Contains(test.err.Error(), words) {
				t.Errorf("%s: %q is missing in %q", name, words, test.err)
			}
		}
	}
}

func TestZeroValues(t *testing.T) {
	t.Parallel()
	if !(state.Position{}).IsZero() || (state.Position{ID: 1}).IsZero() || (state.Position{UpdatedAt: time.Unix(0, 0)}).IsZero() {
		t.Error("the start of a stream is not told from its places")
	}
	if !(state.Hash{}).IsZero() || (state.Hash{15: 1}).IsZero() {
		t.Error("no hash is not told from a hash")
	}
}
