package copernica

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxMessage = 200 // characters kept of an unknown message
	longWord   = 24  // bytes from which a word may be a token
	longHost   = 254 // bytes that no host name in a network error has
)

// mask reduces a text of unknown origin to what may be kept (promise 7): no tokens,
// no addresses, no numbers, nothing unprintable.
func mask(text string) string {
	return cut(maskDigits(maskWords(text, longWord)))
}

// maskWords makes a text one printable line and replaces words that are e-mails,
// URLs or longer than long.
func maskWords(text string, long int) string {
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
		case len(w) >= long:
			words[i] = "<long>"
		}
	}
	return strings.Join(words, " ")
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

// cut keeps the first maxMessage characters of a text.
func cut(s string) string {
	n := maxMessage
	for i := range s {
		if n == 0 {
			return s[:i] + "…"
		}
		n--
	}
	return s
}
