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
