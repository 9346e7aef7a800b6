package mapping_test

import (
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// live is a schema as provision makes it.
func live(m *mapping.Mapping) copernica.Schema {
	var s copernica.Schema
	for i, n := range m.Needs() {
		s.Fields = append(s.Fields, copernica.Field{ID: int64(i + 1), Name: n.Name, Type: string(n.Type), Length: n.Length, Index: n.Index})
	}
	for i, table := range m.Tables()[1:] {
		c := copernica.CollectionSchema{ID: int64(i + 1), Name: m.Collection(table)}
		for _, n := range m.NeedsOf(table) {
			c.Fields = append(c.Fields, copernica.Field{Name: n.Name, Type: string(n.Type), Length: n.Length, Index: n.Index})
		}
		s.Collections = append(s.Collections, c)
	}
	return s
}

func TestPromise12_ASchemaThatWouldLoseValuesIsRefused(t *testing.T) {
	t.Parallel()
	m := compiled(t)
	field := func(s copernica.Schema, name string) *copernica.Field {
		for i := range s.Fields {
			if s.Fields[i].Name == name {
				return &s.Fields[i]
			}
		}
		t.Fatalf("no field %s", name)
		return nil
	}
	for _, tc := range []struct {
		name   string
		change func(copernica.Schema)
		want   string // empty: accepted
	}{
		{"as provision makes it", func(copernica.Schema) {}, ""},
		{"the key is missing", func(s copernica.Schema) { field(s, "customer_id").Name = "other" }, "customer_id is missing"},
		{"the key has another case", func(s copernica.Schema) { field(s, "customer_id").Name = "Customer_ID" }, "customer_id is missing"},
		{"a value's field is missing", func(s copernica.Schema) { field(s, "gender").Name = "sex" }, "gender is missing"},
		{"consent is missing", func(s copernica.Schema) { field(s, "newsletter").Name = "news" }, "newsletter is missing"},
		{"text that became a number", func(s copernica.Schema) { field(s, "firstname").Type = "integer" }, "firstname is of type integer"},
		{"consent that became a choice", func(s copernica.Schema) { field(s, "newsletter").Type = "select" }, "newsletter is of type select"},
		{"the key is too short", func(s copernica.Schema) { field(s, "customer_id").Length = 20 }, "holds 20 characters"},
		{"a text is shorter: values are cut there too", func(s copernica.Schema) { field(s, "firstname").Length = 20 }, ""},
		{"a big text does", func(s copernica.Schema) { field(s, "firstname").Type = "big" }, ""},
		{"an optional date does", func(s copernica.Schema) { field(s, "birthdate").Type = "empty_date" }, ""},
		{"no index only costs time", func(s copernica.Schema) { field(s, "customer_id").Index = false }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := live(m)
			tc.change(s)
			err := m.Refuse(s)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "syncd provision") {
				t.Fatalf("got %v, want %q and what to do", err, tc.want)
			}
			if fault.ClassOf(err) != fault.Configuration {
				t.Errorf("class %s", fault.ClassOf(err))
			}
		})
	}
}

func TestPromise12_CollectionsThatWouldLoseValuesAreRefused(t *testing.T) {
	t.Parallel()
	m := compiled(t)
	const (
		orders = iota
		items
	)
	field := func(s copernica.Schema, of int, name string) *copernica.Field {
		for i := range s.Collections[of].Fields {
			if f := &s.Collections[of].Fields[i]; f.Name == name {
				return f
			}
		}
		t.Fatalf("no field %s", name)
		return nil
	}
	for _, tc := range []struct {
		name   string
		change func(*copernica.Schema)
		want   string // empty: accepted
		none   bool   // a collection as a whole
	}{
		{"as provision makes it", func(*copernica.Schema) {}, "", false},
		{"no collections", func(s *copernica.Schema) { s.Collections = nil }, "collection Orders is missing; collection Orders_Items is missing:", true},
		{"no items", func(s *copernica.Schema) { s.Collections = s.Collections[:1] }, ": collection Orders_Items is missing:", true},
		{"orders in another case", func(s *copernica.Schema) { s.Collections[orders].Name = "orders" }, "collection Orders is missing (there is orders):", true},
		{"orders twice", func(s *copernica.Schema) { s.Collections = append(s.Collections, s.Collections[orders]) }, "collection Orders is there 2 times (Orders, Orders):", true},
		{"orders twice in a way", func(s *copernica.Schema) {
			s.Collections = append(s.Collections, copernica.CollectionSchema{Name: "ORDERS"})
		}, "collection Orders is there 2 times (Orders, ORDERS):", true},
		{"another collection", func(s *copernica.Schema) {
			s.Collections = append(s.Collections, copernica.CollectionSchema{Name: "Visits"})
		}, "", false},
		{"an order's key is missing", func(s *copernica.Schema) { field(*s, orders, "order_id").Name = "id2" }, "field order_id of collection Orders is missing:", false},
		{"an item's key has another case", func(s *copernica.Schema) { field(*s, items, "item_id").Name = "Item_ID" }, "field item_id of collection Orders_Items is missing:", false},
		{"an order's key is too short", func(s *copernica.Schema) { field(*s, orders, "order_id").Length = 20 }, "field order_id of collection Orders holds 20 characters, not 64:", false},
		{"an item's key is too short", func(s *copernica.Schema) { field(*s, items, "item_id").Length = 63 }, "field item_id of collection Orders_Items holds 63 characters, not 64:", false},
		{"amounts in whole numbers", func(s *copernica.Schema) { field(*s, orders, "total").Type = "integer" }, "field total of collection Orders is of type integer, not float:", false},
		{"amounts as text", func(s *copernica.Schema) { field(*s, items, "price").Type = "text" }, "field price of collection Orders_Items is of type text, not float:", false},
		{"a text for long texts", func(s *copernica.Schema) { field(*s, items, "options").Type = "text" }, "field options of collection Orders_Items is of type text, not big:", false},
		{"a text is shorter: values are cut there too", func(s *copernica.Schema) { field(*s, items, "sku").Length = 20 }, "", false},
		{"no index only costs time", func(s *copernica.Schema) { field(*s, items, "order_id").Index = false }, "", false},
		{"no fields at all", func(s *copernica.Schema) { s.Collections[orders].Fields = nil }, "17 fields of collection Orders are missing (order_id, quote_id, incrementId, …):", false},
		{
			"a bit of everything", func(s *copernica.Schema) {
				s.Fields[1].Name, s.Collections[orders].Name = "mail", "orders"
				field(*s, items, "sku").Name, field(*s, items, "price").Type = "number", "text"
			},
			"field email is missing; collection Orders is missing (there is orders); field sku of collection Orders_Items is missing; " +
				"field price of collection Orders_Items is of type text, not float:", true,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := live(m)
			tc.change(&s)
			if err := m.Refuse(s); (err != nil) != strings.Contains(tc.want, "email") {
				t.Errorf("profiles alone: %v", err)
			}
			err := m.Refuse(s, m.Tables()...)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "syncd provision") {
				t.Fatalf("got %v\nwant %q and what to do", err, tc.want)
			}
			if fault.ClassOf(err) != fault.Configuration {
				t.Errorf("class %s", fault.ClassOf(err))
			}
			none := false
			for _, f := range m.CheckOf(s, mapping.Orders, mapping.Items) {
				none = none || f.NoCollection
				if f.NoCollection && (f.State != mapping.Missing || !f.Harmful() || f.Have != (copernica.Field{})) || f.Collection != m.Collection(f.Table) || f.Collection == "" {
					t.Errorf("finding %+v", f)
				}
			}
			if none != tc.none {
				t.Errorf("a collection as a whole: %v", none)
			}
		})
	}
}

func TestFindingsOfTables(t *testing.T) {
	t.Parallel()
	m := compiled(t)
	s := live(m)
	s.Collections[1].Fields[1].Index = false
	var got []string
	for _, f := range m.CheckOf(s, m.Tables()...) {
		if f.State != mapping.Present {
			got = append(got, f.String())
		}
	}
	if len(got) != 1 || got[0] != "field order_id of collection Orders_Items has no index" {
		t.Errorf("findings %q", got)
	}
	if none, profiles := m.CheckOf(s), m.Check(s); len(none) != len(m.Needs()) || len(profiles) != len(none) || none[0].Table != mapping.Profiles {
		t.Errorf("no table given: %d findings, of profiles %d", len(none), len(profiles))
	}
	for _, table := range m.Tables() {
		if n := m.NeedsOf(table); !n[0].Key || n[0].Name != m.KeyFieldOf(table) || n[1].Key {
			t.Errorf("%s: needs %+v", table, n)
		}
	}
}
