package copernicatest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

var errBody = errors.New("no object in the body")

// decodeBody reads a JSON or form body. No body at all is an empty object; a scalar
// or text that is no JSON in UTF-8 is errBody, since PHP decodes that to nothing.
func decodeBody(contentType string, body []byte) (object, error) {
	if strings.HasPrefix(contentType, "application/x-www-form-urlencoded") {
		return decodeForm(string(body)), nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	if !utf8.Valid(body) {
		return nil, errBody
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, errBody
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errBody
	}
	o, ok := v.(object)
	if !ok {
		return nil, errBody
	}
	return o, nil
}

// decodeValue keeps the order of an object's members, which a map would lose.
func decodeValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth > 500 {
		return nil, errBody
	}
	o := object{}
	for d.More() {
		name := strconv.Itoa(len(o))
		if delim == '{' {
			token, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ = token.(string)
		}
		v, err := decodeValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		o = append(o, pair{name, v})
	}
	_, err = d.Token()
	return o, err
}

// decodeForm reads a=1&fields[b]=2 into nested objects, one level deep.
func decodeForm(raw string) object {
	o := object{}
	for _, p := range parseQuery(raw) {
		outer, inner, ok := strings.Cut(p.name, "[")
		if !ok {
			o = append(o, pair{p.name, p.value})
			continue
		}
		inner = strings.TrimSuffix(inner, "]")
		at := -1
		for i := range o {
			if _, ok := o[i].value.(object); ok && o[i].name == outer {
				at = i
			}
		}
		if at < 0 {
			at = len(o)
			o = append(o, pair{outer, object{}})
		}
		members, _ := o[at].value.(object)
		o[at].value = append(members, pair{inner, p.value})
	}
	return o
}

type parameter struct{ name, value string }

// parseQuery splits a query string in order. A plus is a blank (behaviour 36), a
// malformed escape stays as it is.
func parseQuery(raw string) []parameter {
	var list []parameter
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		list = append(list, parameter{unescape(name), unescape(value)})
	}
	return list
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// query is a request's parameters.
type query []parameter

// get returns the last value of a scalar parameter.
func (q query) get(name string) (string, bool) {
	for _, p := range slices.Backward(q) {
		if p.name == name {
			return p.value, true
		}
	}
	return "", false
}

// flag reads a boolean parameter; missing is the default.
func (q query) flag(name string, missing bool) bool {
	v, ok := q.get(name)
	if !ok {
		return missing
	}
	return truthy(v)
}

// filters returns the fields[] expressions; given is false when there is none, a
// plain `fields=` included.
func (q query) filters() (expressions []string, given bool) {
	for _, p := range q {
		if strings.HasPrefix(p.name, "fields[") && strings.HasSuffix(p.name, "]") {
			expressions = append(expressions, p.value)
		}
	}
	return expressions, len(expressions) > 0
}

// writer builds JSON as PHP prints it: ASCII only, slashes escaped, an empty object
// printed as [].
type writer struct{ b []byte }

func (w *writer) raw(s string) { w.b = append(w.b, s...) }

func (w *writer) int(n int64) { w.b = strconv.AppendInt(w.b, n, 10) }

func (w *writer) bool(v bool) { w.b = strconv.AppendBool(w.b, v) }

// id writes a number as a string, as the API does with all that come from its
// database (behaviour 15).
func (w *writer) id(n int64) {
	w.b = append(w.b, '"')
	w.int(n)
	w.b = append(w.b, '"')
}

func (w *writer) string(s string) {
	const hex = "0123456789abcdef"
	unit := func(u rune) {
		w.b = append(w.b, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
	}
	w.b = append(w.b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\' || r == '/':
			w.b = append(w.b, '\\', byte(r))
		case r == '\n':
			w.raw(`\n`)
		case r == '\r':
			w.raw(`\r`)
		case r == '\t':
			w.raw(`\t`)
		case r >= ' ' && r < 0x7f:
			w.b = append(w.b, byte(r))
		case r > 0xffff:
			r -= 0x10000
			unit(0xd800 + r>>10)
			unit(0xdc00 + r&0x3ff)
		default:
			unit(r)
		}
	}
	w.b = append(w.b, '"')
}
