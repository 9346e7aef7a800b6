package mapping_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// given is what Copernica gives back of what it was sent: numbers pass through a
// double, "0" and the empty dates have several forms, and nothing else changes.
func given(body map[string]string, needs []mapping.Need) map[string]string {
	back := maps.Clone(body)
	for _, n := range needs {
		v, ok := back[n.Name]
		if !ok {
			continue
		}
		switch n.Type {
		case mapping.Float:
			f, _ := strconv.ParseFloat(v, 64)
			back[n.Name] = strconv.FormatFloat(f, 'f', -1, 64)
		case mapping.Date, mapping.DateTime:
			if strings.HasPrefix(v, "0000") {
				back[n.Name] = ""
			}
		default:
		}
	}
	return back
}

// anOrder draws an order that the client could have read.
func anOrder(t *rapid.T) magento.Order {
	text := rapid.StringN(0, 300, -1)
	amount := rapid.Custom(func(t *rapid.T) magento.Decimal {
		d, err := magento.ParseDecimal(rapid.StringMatching(`|-?[0-9]{1,16}(\.[0-9]{1,4})?`).Draw(t, "amount"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
	at := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "absent") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "at"), 0).UTC()
	})
	id := rapid.Int64Range(0, 1<<40)
	o := magento.Order{
		ID: rapid.Int64Range(1, 1<<40).Draw(t, "id"), IncrementID: text.Draw(t, "number"), StoreID: rapid.SampledFrom([]int64{0, 1, 4, 9}).Draw(t, "view"),
		StoreName: text.Draw(t, "name"), QuoteID: id.Draw(t, "cart"), Status: text.Draw(t, "status"), CreatedAt: at.Draw(t, "created"), UpdatedAt: at.Draw(t, "updated"),
		Guest: rapid.Bool().Draw(t, "guest"), CustomerID: id.Draw(t, "customer"), Email: rapid.StringMatching(`[ A-Za-zé]{0,5}@[a-zA-Z]{1,5}`).Draw(t, "email"),
		FirstName: text.Draw(t, "first"), LastName: text.Draw(t, "last"), Gender: rapid.StringMatching(`[0-4]?`).Draw(t, "gender"),
		BirthDate: rapid.StringMatching(`(19[0-9]{2}-[01][0-9]-[0-3][0-9] 00:00:00)?`).Draw(t, "dob"),
		Currency:  text.Draw(t, "currency"), Shipping: amount.Draw(t, "shipping"), GrandTotal: amount.Draw(t, "total"), Quantity: amount.Draw(t, "quantity"),
		CouponCode: text.Draw(t, "coupon"), Payment: magento.Payment{Method: text.Draw(t, "method"), Title: text.Draw(t, "title")},
		BillingAddress: magento.OrderAddress{ID: id.Draw(t, "billing")}, LinesKnown: true,
	}
	if o.Guest {
		o.CustomerID = 0
	}
	for range rapid.IntRange(0, 3).Draw(t, "lines") {
		o.Lines = append(o.Lines, magento.Line{
			ID: rapid.Int64Range(1, 1<<40).Draw(t, "line"), ProductID: id.Draw(t, "product"), SKU: text.Draw(t, "sku"), Name: text.Draw(t, "product name"),
			Quantity: amount.Draw(t, "ordered"), Refunded: amount.Draw(t, "refunded"), Canceled: amount.Draw(t, "canceled"), Price: amount.Draw(t, "price"),
			CreatedAt: at.Draw(t, "line created"), Options: []magento.Option{{ID: text.Draw(t, "option"), Value: text.Draw(t, "value")}},
		})
	}
	return o
}

// rowsOf lists all rows that an order makes.
func rowsOf(p *mapping.Placed) []*mapping.Row {
	rows := []*mapping.Row{&p.Order}
	for i := range p.Items {
		rows = append(rows, &p.Items[i])
	}
	if p.Owner.Guest != nil {
		rows = append(rows, p.Owner.Guest)
	}
	return rows
}

func TestPromise16_WhatIsReadBackIsWhatWasSent(t *testing.T) {
	t.Parallel()
	m, names := compiled(t), lookups()
	rapid.Check(t, func(t *rapid.T) {
		o := anOrder(t)
		a, err := m.Order(&o, names)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := m.Order(&o, names)
		again := rowsOf(&b)
		for i, r := range rowsOf(&a) {
			needs, body := m.NeedsOf(r.Table()), r.Body(true, true)
			if !cmp.Equal(r.Content(), again[i].Content()) || !cmp.Equal(body, again[i].Body(true, true)) {
				t.Fatalf("%s: two answers for one order", r.Key)
			}
			if !r.Same(body) || !r.Same(given(body, needs)) {
				t.Fatalf("%s counts as changed when it is read back: %q", r.Key, body)
			}
			for _, n := range needs {
				v, ok := body[n.Name]
				if !utf8.ValidString(v) || n.Length > 0 && utf8.RuneCountInString(v) > n.Length || !ok && n.Name != m.Consent().Name {
					t.Fatalf("%s: %s does not fit: %q", r.Key, n.Name, v)
				}
				if n.Key && v != r.Key {
					t.Fatalf("%s: the key stands as %q", r.Key, v)
				}
			}
		}
	})
}

// Content is what is hashed: two rows have one content only when they have one body.
func TestContentTellsEveryDifference(t *testing.T) {
	t.Parallel()
	m, names := compiled(t), lookups()
	rapid.Check(t, func(t *rapid.T) {
		x, y := anOrder(t), anOrder(t)
		// Two orders that differ in one thing at most, wherever they can.
		y.ID, y.Lines, y.LinesKnown = x.ID, slices.Clone(x.Lines), true
		if rapid.Bool().Draw(t, "alike") {
			total := y.GrandTotal
			y = x
			y.GrandTotal = total
		}
		a, _ := m.Order(&x, names)
		b, _ := m.Order(&y, names)
		for _, pair := range [][2]*mapping.Row{{&a.Order, &b.Order}, {a.Owner.Guest, b.Owner.Guest}} {
			if pair[0] == nil || pair[1] == nil {
				continue
			}
			body, other := pair[0].Body(true, false), pair[1].Body(true, false)
			if cmp.Equal(pair[0].Content(), pair[1].Content()) != cmp.Equal(body, other) {
				t.Fatalf("contents %q and %q of bodies %q and %q", pair[0].Content(), pair[1].Content(), body, other)
			}
		}
	})
	// Each value by itself, and no value for its neighbour's.
	o := jansOrder()
	p, err := m.Order(&o, names)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rowsOf(&p) {
		seen := map[string]bool{}
		content := r.Content()
		for i := 1; i < len(content); i += 2 {
			seen[content[i]] = true
		}
		if body := r.Body(true, false); len(seen) != len(body)-1 || content[0] != r.Key {
			t.Errorf("%s: content names %d of %d fields", r.Key, len(seen), len(body)-1)
		}
	}
}

// A row of what the account shows is the same only when each field is.
func TestSameSeesEveryField(t *testing.T) {
	t.Parallel()
	m := compiled(t)
	p := place(t, guestOrder())
	for _, r := range rowsOf(&p) {
		for _, n := range m.NeedsOf(r.Table()) {
			if n.Name == m.Consent().Name {
				continue
			}
			read := r.Body(true, false)
			read[n.Name] = "1971-01-01 00:00:01"
			if n.Type == mapping.Float || n.Type == mapping.Integer {
				read[n.Name] = "8.25"
			}
			if r.Same(read) {
				t.Errorf("%s: %s differs and counts as the same", r.Key, n.Name)
			}
			// A text that is empty and a date that is none are as good as absent.
			if delete(read, n.Name); r.Same(read) && strings.Trim(r.Body(true, false)[n.Name], "0-: ") != "" {
				t.Errorf("%s: %s lacks and counts as the same", r.Key, n.Name)
			}
		}
	}
	var schema copernica.Schema
	if len(m.CheckOf(schema, m.Tables()...)) != len(m.Needs())+len(m.NeedsOf(mapping.Orders))+len(m.NeedsOf(mapping.Items)) {
		t.Error("a field is not checked")
	}
}
