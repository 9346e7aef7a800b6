package magentotest

import (
	"net/url"
	"strconv"
	"strings"
)

// node is a value of a query string as PHP reads it: a text, or an array in the order
// of the keys' first appearance.
type node struct {
	text string
	keys []string
	kids map[string]*node
}

// parseQuery reads a query string as PHP does: `a[b][]=1` builds arrays, `+` is a
// space, brackets may be raw or encoded, and a later value wins.
func parseQuery(raw string) *node {
	top := &node{}
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		name, value = unescape(name), unescape(value)
		base, rest, nested := strings.Cut(name, "[")
		if base == "" {
			continue
		}
		at := top.kid(base)
		if nested {
			for key := range strings.SplitSeq(strings.TrimSuffix(rest, "]"), "][") {
				if key == "" {
					key = strconv.Itoa(len(at.keys))
				}
				at = at.kid(key)
			}
		}
		at.text = value
	}
	return top
}

// unescape decodes what it can, as PHP does: a stray % stands for itself.
func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

func (n *node) kid(key string) *node {
	if n.kids == nil {
		n.kids = map[string]*node{}
	}
	if n.kids[key] == nil {
		n.kids[key] = &node{}
		n.keys = append(n.keys, key)
	}
	return n.kids[key]
}

// get returns the member with a name in snake_case or camelCase, nil if there is none.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	if kid := n.kids[name]; kid != nil {
		return kid
	}
	first, rest, _ := strings.Cut(name, "_")
	if rest == "" {
		return nil
	}
	return n.kids[first+strings.ToUpper(rest[:1])+rest[1:]]
}

// each calls f for every member in order.
func (n *node) each(f func(*node)) {
	if n == nil {
		return
	}
	for _, key := range n.keys {
		f(n.kids[key])
	}
}
