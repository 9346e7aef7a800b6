package mapping

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// OtherShops are profiles of a database whose keys belong to other shops' codes. They may
// be other shops', and they may be this one's, written under another code (promise 17).
type OtherShops struct {
	Profiles map[string]int // seen, by code
	More     bool           // there are others that were not seen
}

// shopKey is the key of a customer or of a guest, whatever the shop.
var shopKey = regexp.MustCompile(`^([a-z0-9]{1,12})-(?:c[1-9][0-9]*|w[0-9]+-g[0-9a-f]{32})$`)

// OtherShops counts among the keys of profiles those of other shops; complete says that
// the keys are all there are.
func (m *Mapping) OtherShops(keys []string, complete bool) OtherShops {
	o := OtherShops{Profiles: map[string]int{}, More: !complete}
	for _, key := range keys {
		if found := shopKey.FindStringSubmatch(key); found != nil && found[1]+"-" != m.keys.shop {
			o.Profiles[found[1]]++
		}
	}
	return o
}

// None reports whether no key of another shop was seen.
func (o OtherShops) None() bool { return len(o.Profiles) == 0 }

// Codes are the codes seen, in the order of the alphabet.
func (o OtherShops) Codes() []string { return slices.Sorted(maps.Keys(o.Profiles)) }

// String words what was seen: 12 profiles with keys of the shop codes main (8) and nl (4).
func (o OtherShops) String() string {
	total, parts := 0, make([]string, 0, len(o.Profiles))
	for _, code := range o.Codes() {
		total += o.Profiles[code]
		parts = append(parts, fmt.Sprintf("%s (%d)", code, o.Profiles[code]))
	}
	words := "profiles"
	if total == 1 {
		words = "profile"
	}
	text := fmt.Sprintf("%d %s with keys of ", total, words)
	if o.More {
		text = "at least " + text
	}
	switch n := len(parts); n {
	case 0:
		return "no profile with a key of another shop code"
	case 1:
		return text + "the shop code " + o.Codes()[0]
	default:
		return text + "the shop codes " + strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
}
