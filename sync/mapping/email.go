package mapping

import (
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// FoldEmail brings e-mails that a shop's database may take for one to one form: its
// collation ignores case and accents. The state keeps keyed hashes of this form.
func FoldEmail(address string) string {
	address = strings.ToLower(strings.TrimSpace(address))
	if !strings.ContainsFunc(address, func(c rune) bool { return c > unicode.MaxASCII }) {
		return address
	}
	folded, _, err := transform.String(transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn)), norm.NFC), address)
	if err != nil {
		return address
	}
	return folded
}
