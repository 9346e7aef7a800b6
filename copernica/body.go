package copernica

import (
	"slices"
	"unicode/utf8"
)

// fieldsBody encodes {"fields":{…}}, as profiles and writes by id want values.
func fieldsBody(fields map[string]string) []byte {
	return encode(`{"fields":{`, fields, "}}")
}

// flatBody encodes {…}, as the list of a profile's subprofiles wants values.
func flatBody(fields map[string]string) []byte {
	return encode("{", fields, "}")
}

// encode encodes fields with sorted names. The values must be valid UTF-8. Every
// write passes here; encoding/json takes five times as long.
func encode(begin string, fields map[string]string, end string) []byte {
	var room [24]string
	names, size := room[:0], len(begin)+len(end)
	for name, value := range fields {
		names = append(names, name)
		size += len(name) + len(value) + len(value)/16 + len(`"":"",`)
	}
	slices.Sort(names)
	b := make([]byte, 0, size)
	b = append(b, begin...)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, name)
		b = append(b, ':')
		b = appendJSON(b, fields[name])
	}
	return append(b, end...)
}

// appendJSON appends s as a JSON string. U+2028 and U+2029 go as they are, which
// JSON allows.
func appendJSON(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}

// sound reports whether every name and value can be sent as it is.
func sound(fields map[string]string) (name string, ok bool) {
	for name, value := range fields {
		if !utf8.ValidString(value) || !utf8.ValidString(name) {
			return name, false
		}
	}
	return "", true
}
