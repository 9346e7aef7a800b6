package mapping_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Only what has the form of a shop's key counts: a database may hold anything else.
func TestPromise17_KeysOfOtherShops(t *testing.T) {
	t.Parallel()
	m := compiled(t)
	const hash = "6ac2b5c37e3ac97744da272d49949f02"
	for name, tc := range map[string]struct {
		keys  []string
		more  bool
		codes []string
		says  string
	}{
		"none":    {says: "no profile with a key of another shop code"},
		"our own": {keys: []string{"shop-c1", "shop-w2-g" + hash}, says: "no profile with a key of another shop code"},
		"one":     {keys: []string{"main-c1"}, codes: []string{"main"}, says: "1 profile with keys of the shop code main"},
		"a guest": {keys: []string{"shop-c1", "main-c1", "main-w0-g" + hash}, codes: []string{"main"}, says: "2 profiles with keys of the shop code main"},
		"a page":  {keys: []string{"main-c1", "main-c2"}, more: true, codes: []string{"main"}, says: "at least 2 profiles with keys of the shop code main"},
		"two":     {keys: []string{"nl-c1", "main-c1", "nl-c2"}, codes: []string{"main", "nl"}, says: "3 profiles with keys of the shop codes main (1) and nl (2)"},
		"three":   {keys: []string{"a-c1", "b-c1", "shop2-c1"}, codes: []string{"a", "b", "shop2"}, says: "3 profiles with keys of the shop codes a (1), b (1) and shop2 (1)"},
		"no shop's": {
			keys: []string{"", "-c1", "main-c", "main-c0", "main-c01", "main-c1x", "main-o1", "Main-c1", "thirteenchars-c1", "a-b-c1", "main-w1-g12", "main-w-g" + hash, "12345-678"},
			says: "no profile with a key of another shop code",
		},
	} {
		found := m.OtherShops(tc.keys, !tc.more)
		if diff := cmp.Diff(tc.codes, found.Codes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if found.String() != tc.says || found.None() != (tc.codes == nil) {
			t.Errorf("%s: %s", name, found)
		}
	}
}
