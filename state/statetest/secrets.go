package statetest

import (
	"bytes"
	"testing"
)

func testSecrets(t *testing.T, f *fixture) {
	ctx := t.Context()
	binary := []byte{0, 1, 0xff, 'x'}
	for _, step := range []struct {
		name   string
		secret []byte
	}{{"a", []byte("first")}, {"b", binary}, {"a", []byte("second")}, {"c", []byte("gone")}, {"c", nil}, {"never", []byte{}}} {
		if err := f.SetSecret(ctx, step.name, step.secret); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][]byte{"a": []byte("second"), "b": binary, "c": nil, "never": nil, "hash_key": nil, "": nil} {
		got, err := f.Secret(ctx, name)
		if err != nil || !bytes.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("secret %q is %q, %v; want %q", name, got, err, want)
		}
	}
	if err := f.SetSecret(ctx, "", binary); err == nil {
		t.Error("a secret without a name was kept")
	}
	// The key of the hasher is sealed too, and is no secret of that name.
	before := f.Hasher().Sum("x")
	if err := f.SetSecret(ctx, "hash_key", []byte("not a key")); err != nil {
		t.Fatal(err)
	}
	if f.Hasher().Sum("x") != before {
		t.Error("a secret took the hash key's place")
	}
}

// testSecretsSurvive reads what another process kept.
func testSecretsSurvive(t *testing.T, f *fixture) {
	if err := f.SetSecret(t.Context(), "hash_key", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	again := f.reopen(t)
	if got, err := again.Secret(t.Context(), "hash_key"); err != nil || string(got) != "kept" {
		t.Errorf("%q, %v", got, err)
	}
}
