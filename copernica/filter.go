package copernica

import "strconv"

// Operators of the fields parameter (copernica-rest.md 6.2). A value is everything
// after the first operator, unquoted, so no value needs quoting of its own.
const (
	equals  = "=="
	like    = "=~"
	unlike  = "!~"
	greater = ">"
	less    = "<"
	atLeast = ">="
)

// filter appends one condition to a query, which may have a path before it. It is the one place where a value gets
// into a URL. Everything but the unreserved characters of RFC 3986 is
// percent-encoded: a + would arrive as a blank, and an upsert that finds nothing
// makes a double (copernica-behaviours 31 and 36).
func filter(query []byte, name, operator, value string) []byte {
	query = append(and(query), "fields%5B%5D="...)
	query = escape(query, name)
	query = escape(query, operator)
	return escape(query, value)
}

// and makes room for one more parameter.
func and(query []byte) []byte {
	if n := len(query); n > 0 && query[n-1] != '?' {
		query = append(query, '&')
	}
	return query
}

func filterAbove(query []byte, id int64) []byte {
	return filter(query, "id", greater, strconv.FormatInt(id, 10))
}

func filterBelow(query []byte, id int64) []byte {
	return filter(query, "id", less, strconv.FormatInt(id, 10))
}

func escape(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}
