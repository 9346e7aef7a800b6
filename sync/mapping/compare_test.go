package mapping_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/sync/mapping"
)

func TestSidesOfAProfile(t *testing.T) {
	t.Parallel()
	c := jan()
	c.BirthDate = ""
	row, err := compiled(t).Customer(&c, lookups())
	if err != nil {
		t.Fatal(err)
	}
	written := row.Body(true, true)

	sides := row.Sides(written)
	if sides[0].Field != "customer_id" || sides[len(sides)-1].Field != "newsletter" || len(sides) != len(written) {
		t.Fatalf("fields: %+v", sides)
	}
	for i, s := range sides {
		if s.Mapped != written[s.Field] || s.Have != s.Mapped || !s.Same || s.Lacking || s.Consent != (i == len(sides)-1) {
			t.Errorf("what was written differs: %+v", s)
		}
	}

	read := maps.Clone(written)
	read["customer_id"], read["firstname"], read["newsletter"] = "shop-c2", "jan", "unsubscribed_copernica"
	read["birthdate"] = "" // one of the two ways in which Copernica shows an empty date
	delete(read, "gender")
	got := map[string]mapping.Side{}
	for _, s := range row.Sides(read) {
		if !s.Same {
			got[s.Field] = s
		}
	}
	want := map[string]mapping.Side{
		"customer_id": {Field: "customer_id", Mapped: "shop-c1", Have: "shop-c2"},
		"firstname":   {Field: "firstname", Mapped: "Jan", Have: "jan"},
		"gender":      {Field: "gender", Mapped: "Male", Lacking: true},
		"newsletter":  {Field: "newsletter", Mapped: "subscribed", Have: "unsubscribed_copernica", Consent: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what differs (-want +got):\n%s", diff)
	}
	for _, s := range row.Sides(nil) {
		if s.Same || !s.Lacking {
			t.Errorf("beside nothing: %+v", s)
		}
	}
}

// A text that fills its field may have been cut; numbers and dates never are.
func TestSidesThatFillTheirField(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]bool{249: false, 250: true, 251: true} {
		c := jan()
		c.FirstName = strings.Repeat("é", length)
		row, err := compiled(t).Customer(&c, lookups())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range row.Sides(nil) {
			if s.Full != (want && s.Field == "firstname") {
				t.Errorf("%d characters: %s is full: %t", length, s.Field, s.Full)
			}
		}
	}
}

func TestFoldEmail(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"":                        "",
		"jan@example.test":        "jan@example.test",
		" Jan@Example.TEST\n":     "jan@example.test",
		"JOSÉ@example.test":       "jose@example.test",
		"jose\u0301@example.test": "jose@example.test",
		"日本@example.test":         "日本@example.test",
		"jan+a@example.test":      "jan+a@example.test",
	} {
		if got := mapping.FoldEmail(address); got != want {
			t.Errorf("%q became %q, not %q", address, got, want)
		}
	}
}
