package copernicatest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Dump prints what the account holds so that two accounts with the same content
// print the same bytes: no ids, secrets or times, databases, collections and fields
// by name, rows by key and then by content. Each key has a line with the number of
// rows that carry it, so that a double shows:
//
//	database Magento
//	  field customer_id text 64 index
//	  key shop-c1 rows 1
//	    {"customer_id":"shop-c1","email":"a@example.com"}
//	      Orders
//	        key shop-o1 rows 1
//	          {"order_id":"shop-o1"}
func (a *Account) Dump() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	var b bytes.Buffer
	databases := slices.Clone(a.databases)
	slices.SortStableFunc(databases, byName)
	for _, t := range databases {
		fmt.Fprintf(&b, "database %s\n", t.name)
		dumpFields(&b, "  ", t)
		collections := slices.Clone(t.collections)
		slices.SortStableFunc(collections, byName)
		for _, c := range collections {
			fmt.Fprintf(&b, "  collection %s\n", c.name)
			dumpFields(&b, "    ", c)
		}
		a.dumpRows(&b, "  ", t, t.rows, collections)
	}
	return b.Bytes()
}

func byName(x, y *table) int { return strings.Compare(x.name, y.name) }

func fieldsByName(t *table) []*field {
	fields := slices.Clone(t.fields)
	slices.SortFunc(fields, func(x, y *field) int { return strings.Compare(x.name, y.name) })
	return fields
}

func dumpFields(b *bytes.Buffer, indent string, t *table) {
	for _, f := range fieldsByName(t) {
		fmt.Fprintf(b, "%sfield %s %s", indent, f.name, f.typ)
		if f.length > 0 {
			fmt.Fprintf(b, " %d", f.length)
		}
		if f.index {
			b.WriteString(" index")
		}
		b.WriteByte('\n')
	}
}

// dumpRows prints the live ones of rows, grouped by key.
func (a *Account) dumpRows(b *bytes.Buffer, indent string, t *table, rows []*row, collections []*table) {
	type printed struct{ key, text string }
	var list []printed
	key, fields := t.keyField(), fieldsByName(t)
	for _, r := range rows {
		if r.removed != 0 {
			continue
		}
		var p printed
		if key != nil {
			p.key = r.get(key)
		}
		p.text = indent + "  " + contentOf(r, fields) + "\n"
		for _, c := range collections {
			if subs := c.children[r.id]; slices.ContainsFunc(subs, func(s *row) bool { return s.removed == 0 }) {
				var nested bytes.Buffer
				a.dumpRows(&nested, indent+"      ", c, subs, nil)
				p.text += indent + "    " + c.name + "\n" + nested.String()
			}
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(x, y printed) int {
		return cmp.Or(strings.Compare(x.key, y.key), strings.Compare(x.text, y.text))
	})
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].key == list[0].key {
			n++
		}
		fmt.Fprintf(b, "%skey %s rows %d\n", indent, quoteIfOdd(list[0].key), n)
		for _, p := range list[:n] {
			b.WriteString(p.text)
		}
		list = list[n:]
	}
}

// contentOf prints a row's fields as one line of JSON, by name.
func contentOf(r *row, fields []*field) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(f.name))
		b.WriteByte(':')
		b.Write(quote(r.get(f)))
	}
	b.WriteByte('}')
	return b.String()
}

func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// quoteIfOdd leaves a key that is one plain word bare.
func quoteIfOdd(key string) string {
	if q := string(quote(key)); key == "" || q != `"`+key+`"` || strings.Contains(key, " ") {
		return q
	}
	return key
}
