package copernica

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxMessage = 200 // characters kept of an unknown message
	longWord   = 24  // characters from which a word may be a token
)

// mask reduces a text of unknown origin to what may be logged: no tokens, no
// addresses, no numbers, nothing unprintable.
func mask(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	words := strings.Fields(text)
	for i, w := range words {
		switch {
		case strings.Contains(w, "@") || strings.Contains(w, "%40"):
			words[i] = "<email>"
		case strings.Contains(w, "://"):
			words[i] = "<url>"
		case len(w) >= longWord:
			words[i] = "<long>"
		}
	}
	return cut(maskDigits(strings.Join(words, " ")), maxMessage)
}

// maskDigits replaces each run of digits by one #.
func maskDigits(s string) string {
	var b strings.Builder
	in := false
	for _, r := range s {
		digit := unicode.IsDigit(r)
		switch {
		case digit && !in:
			b.WriteByte('#')
		case !digit:
			b.WriteRune(r)
		}
		in = digit
	}
	return b.String()
}

func cut(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i] + "…"
		}
		n--
	}
	return s
}
