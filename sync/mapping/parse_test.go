package mapping_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/magento-copernica/syncd/sync/mapping"
)

// Without a field of their own, the sections begin on lines 2, 7 and 12, and their keys
// stand on lines 6, 11 and 16.
func TestParseSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	const field = "    - {name: %, type: text, length: 5, from: status}\n"
	named := func(name string) string { return strings.Replace(field, "%", name, 1) }
	whole := sections("", "", "")
	without := func(from, to string) string {
		before, rest, _ := strings.Cut(whole, from)
		if to == "" {
			return before
		}
		_, after, _ := strings.Cut(rest, to)
		return before + to + after
	}
	replaced := func(old, by string) string {
		if !strings.Contains(whole, old) {
			t.Fatalf("nothing to replace: %s", old)
		}
		return strings.Replace(whole, old, by, 1)
	}
	for name, tc := range map[string]struct{ yaml, want string }{
		"a profile's source that is unknown": {sections("    - {name: a, type: text, length: 5, from: grand_total}\n", "", ""), `line 7: field "a": unknown source "grand_total"; known are `},
		"an order's source that is unknown":  {sections("", "    - {name: a, type: text, length: 5, from: sku}\n", ""), `line 12: field "a": unknown source "sku"; known are base_currency_code, `},
		"an order has no attributes":         {sections("", "    - {name: a, type: text, length: 5, from: attribute.a}\n", ""), `line 12: field "a": unknown source "attribute.a"`},
		"an item's source that is unknown":   {sections("", "", "    - {name: a, type: text, length: 5, from: grand_total}\n"), `line 17: field "a": unknown source "grand_total"; known are created_at, `},
		"an order's type that is unknown":    {sections("", "    - {name: a, type: money, from: grand_total}\n", ""), `line 12: field "a": unknown type "money"`},
		"a name twice among orders":          {sections("", named("a")+named("A"), ""), `line 13: field "A" stands twice`},
		"a name twice among items":           {sections("", "", named("Item_ID")), `line 17: field "Item_ID" stands twice`},
		"a reserved name":                    {sections("", "", named("code")), `line 17: field "code": Copernica reserves`},
		"a name that is none":                {sections("", named("9a"), ""), `line 12: field "9a": Copernica takes no operators`},
		"no name":                            {sections("", named(`""`), ""), `line 12: a field has no name`},
		"a text without a length":            {sections("", "    - {name: a, type: text, from: status}\n", ""), `line 12: field "a": a text field needs a length`},
		"a required field of an order":       {sections("", "    - {name: a, type: text, length: 5, from: status, required: true}\n", ""), `line 12: field "a": only a profile's field can be required`},
		"a required field of a line":         {sections("", "", "    - {name: a, type: text, length: 5, from: sku, required: true}\n"), `line 17: field "a": only a profile's field can be required`},
		"cents in a field of whole numbers":  {sections("", "    - {name: a, type: integer, from: grand_total}\n", ""), `line 12: field "a": grand_total is an amount with decimals, which does not fit a field of type integer`},
		"an amount in a date":                {sections("", "    - {name: a, type: date, from: grand_total}\n", ""), `does not fit a field of type date`},
		"a number in a date":                 {sections("", "    - {name: a, type: datetime, from: quote_id}\n", ""), `quote_id is a number, which does not fit a field of type datetime`},
		"a time in a number":                 {sections("    - {name: a, type: integer, from: created_at}\n", "", ""), `line 7: field "a": created_at is a time, which does not fit a field of type integer`},
		"words for a time":                   {sections("", "    - {name: a, type: text, length: 5, from: created_at, values: {a: b}}\n", ""), `line 12: field "a": created_at is a time, which values cannot replace`},
		"an order key that is too short":     {replaced("order_id, type: text, length: 64", "order_id, type: text, length: 47"), `line 11: field "order_id": the key must be the field named under key, an indexed text of 48 characters or more`},
		"an item key without an index":       {replaced("item_id, type: text, length: 64, index: true", "item_id, type: text, length: 64"), `line 16: field "item_id": the key must`},
		"a key of another name":              {replaced("key: item_id", "key: itemId"), `line 16: field "item_id": the key must`},
		"a key too short for guests":         {replaced("customer_id, type: text, length: 64", "customer_id, type: text, length: 52"), `line 6: field "customer_id": the key must be the field named under key, an indexed text of 53 characters or more`},
		"no key among orders":                {without("    - {name: order_id", "items:"), `exactly one field comes from "key"; there are 0`},
		"two keys among items":               {sections("", "", "    - {name: other, type: text, length: 64, index: true, from: key}\n"), `exactly one field comes from "key"; there are 2`},
		"no collection":                      {replaced("  collection: Orders\n", ""), `line 8: collection: it needs a name`},
		"a collection that is no name":       {replaced("collection: Orders\n", "collection: Orders2\n"), `line 8: collection "Orders2": Copernica takes letters and underscores only`},
		"one collection for both":            {replaced("collection: Orders_Items", "collection: orders"), `line 13: collection "orders" stands twice`},
		"orders without items":               {without("items:", ""), `sections orders and items stand together`},
		"items without orders":               {without("orders:", "items:"), `sections orders and items stand together`},
		"a rule for orders that are gone":    {replaced("  key: order_id", "  gone: keep\n  key: order_id"), `line 9: gone is a rule for items only`},
		"a rule that is none":                {replaced("  key: item_id", "  gone: blank\n  key: item_id"), `line 14: gone is "blank": use remove or keep`},
		"a word that is none":                {replaced("  key: item_id", "  kye: item_id"), `kye`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mapping.Parse([]byte(tc.yaml))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
	if _, err := mapping.Parse([]byte(whole)); err != nil {
		t.Errorf("the example itself: %v", err)
	}
}

func TestEveryMistakeIsTold(t *testing.T) {
	t.Parallel()
	_, err := mapping.Parse([]byte(sections(
		"    - {name: a, type: text, length: 5, from: emial}\n",
		"    - {name: b, type: text, from: status}\n",
		"    - name: c\n      type: integer\n      from: price\n")))
	if err == nil {
		t.Fatal("three mistakes were taken")
	}
	var got []string
	for line := range strings.Lines(err.Error()) {
		got = append(got, strings.Join(strings.Fields(line)[:4], " "))
	}
	want := []string{`mapping file: line 7:`, `line 13: field "b":`, `line 19: field "c":`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestGoneLines(t *testing.T) {
	t.Parallel()
	whole := sections("", "", "")
	for rule, want := range map[string]mapping.Gone{"": mapping.GoneRemove, "  gone: remove\n": mapping.GoneRemove, "  gone: keep\n": mapping.GoneKeep} {
		m := mappingOf(t, strings.Replace(whole, "  key: item_id\n", rule+"  key: item_id\n", 1))
		if got := m.GoneLines(); got != want {
			t.Errorf("%q: %s", rule, got)
		}
	}
}

// A file that lost a line or a word is refused, or maps.
func TestParseOfWhatIsLeftOfAFile(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile("default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	o, names := guestOrder(), lookups()
	rapid.Check(t, func(t *rapid.T) {
		words := strings.SplitAfter(string(whole), rapid.SampledFrom([]string{"\n", " ", ":", ","}).Draw(t, "between"))
		from := rapid.IntRange(0, len(words)-1).Draw(t, "from")
		to := min(len(words), from+rapid.IntRange(1, 3).Draw(t, "words"))
		file, err := mapping.Parse([]byte(strings.Join(slices.Delete(words, from, to), "")))
		if err != nil {
			return
		}
		m, err := file.Compile(mapping.Options{Shop: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		p, err := m.Order(&o, names)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rowsOf(&p) {
			if needs := m.NeedsOf(r.Table()); len(needs) > 0 && (r.Body(true, false)[m.KeyFieldOf(r.Table())] != r.Key || !r.Same(r.Body(true, false))) {
				t.Fatalf("row %s: %v", r.Key, r.Body(true, false))
			}
		}
	})
}
