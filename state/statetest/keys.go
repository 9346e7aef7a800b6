package statetest

import (
	"fmt"
	"testing"

	"github.com/magento-copernica/syncd/state"
)

func testThousandKeys(t *testing.T, f *fixture) {
	const many = 1000
	l := f.acquire(t)
	keys := keysOf(many)
	var c state.Commit
	for i, key := range keys {
		c.Records = append(c.Records, acknowledged(key, int64(i)))
	}
	f.commit(t, l, c)
	asked := append(keysOf(many), "shop-c99999", "shop-c0", "shop-c0")
	rows, err := f.Records(t.Context(), shop, state.Profile, asked)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != many {
		t.Fatalf("%d rows, not %d", len(rows), many)
	}
	for i, key := range keys {
		if want := acknowledged(key, int64(i)); rows[key] != want {
			same(t, key, want, rows[key])
		}
	}
}

// oddKeys are keys that a careless query or encoding would change.
func oddKeys() []string {
	return []string{
		"a'b", `a"b`, `a\b`, "a%b", "a_b", "a?b", "a$1b", "a;b", "a,b", "a b", " a", "a ", "A", "a", "é", "e\u0301", "日本",
		"\U0001F600", "\uFFFD", "<&>", "\u2028", "{}", "[]", "null", "1", "01", "1.0", "1e3", "-0", "\t", "\n", "a\x01b",
	}
}

func testOddKeys(t *testing.T, f *fixture) {
	l := f.acquire(t)
	keys := oddKeys()
	var c state.Commit
	for i, key := range keys {
		r := acknowledged(key, int64(i))
		r.Parent, r.Number = key, key
		c.Records = append(c.Records, r)
		c.Emails = append(c.Emails, state.Email{Hash: hashOf(1), Key: key, Website: int64(i)})
		c.Letters = append(c.Letters, refusal(key, "refused"))
	}
	f.commit(t, l, c)
	rows, err := f.Records(t.Context(), shop, state.Profile, keys)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(keys) {
		t.Errorf("%d rows of %d keys", len(rows), len(keys))
	}
	for i, key := range keys {
		if r := rows[key]; r.Key != key || r.Parent != key || r.Number != key || r.SourceID != int64(i) {
			t.Errorf("key %q became %+v", key, r)
		}
		if one, ok := f.record(t, key); !ok || one.SourceID != int64(i) {
			t.Errorf("key %q alone: %+v", key, one)
		}
		if rows := f.byNumber(t, shop, key); len(rows) != 1 || rows[0].Key != key {
			t.Errorf("number %q: %+v", key, rows)
		}
	}
	emails, err := f.Emails(t.Context(), shop, []state.Hash{hashOf(1)})
	if err != nil || len(emails[hashOf(1)]) != len(keys) {
		t.Errorf("%d e-mails of %d keys, %v", len(emails[hashOf(1)]), len(keys), err)
	}
	for _, e := range emails[hashOf(1)] {
		if keys[e.Website] != e.Key {
			t.Errorf("e-mail of %q became that of %q", keys[e.Website], e.Key)
		}
	}
	// Orders below each of the keys move below the next one, and those of the last are bare.
	c = state.Commit{}
	for i, key := range keys {
		c.Records = append(c.Records, under(key, order(int64(i), "")))
	}
	f.commit(t, l, c)
	c = state.Commit{Bare: keys[len(keys)-1:]}
	for i := range len(keys) - 1 {
		c.Moves = append(c.Moves, state.Move{From: keys[i], To: keys[i+1]})
		if rows := f.byParent(t, keys[i]); rows != fmt.Sprint("shop-o", i) {
			t.Errorf("below %q: %q", keys[i], rows)
		}
	}
	f.commit(t, l, c)
	same(t, "orders", map[state.RecordState]int64{state.Removed: int64(len(keys))}, f.counts(t)[state.Order])
	if n := len(f.letters(t)); n != len(keys) {
		t.Errorf("%d letters of %d keys", n, len(keys))
	}
}

func testBadKeys(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	for _, key := range []string{"", "nul\x00", "bad\xffbytes", "cut\xc3"} {
		planned := state.Record{Entity: state.Profile, Key: key, State: state.Planned}
		if err := f.Plan(ctx, l, []state.Record{planned}); err == nil {
			t.Errorf("plan took the key %q", key)
		}
		if _, err := f.Commit(ctx, l, state.Commit{Records: []state.Record{acknowledged(key, 1)}}); err == nil {
			t.Errorf("commit took the key %q", key)
		}
		if key != "" {
			child := acknowledged("shop-o1", 1)
			child.Parent = key
			if _, err := f.Commit(ctx, l, state.Commit{Records: []state.Record{child}}); err == nil {
				t.Errorf("commit took the parent %q", key)
			}
		}
		// A look-up of what cannot be there finds nothing, and the rest.
		f.commit(t, l, state.Commit{Records: []state.Record{acknowledged("bad\uFFFDbytes", 1)}})
		rows, err := f.Records(ctx, shop, state.Profile, []string{key, "bad\uFFFDbytes"})
		if err != nil || len(rows) != 1 {
			t.Errorf("look-up of %q: %v, %v", key, rows, err)
		}
	}
}
