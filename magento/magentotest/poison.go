package magentotest

import (
	"net/http"
	"slices"
)

// Poison says which records make the shop fail: a page that holds one, and a single
// read of it. A list counts such a record, and shows its number of rows, as long as the
// record itself is not on the page.
type Poison struct {
	Customer, Order func(id int64) bool                    // nil: none
	Document        func(kind DocumentKind, id int64) bool // nil: none

	// Field is the one field that cannot be printed, such as a text that is not UTF-8
	// in `email`: an answer narrowed to other fields is fine. "": nothing can be.
	Field string
	// ListOnly leaves single reads alone.
	ListOnly bool
	// Exception answers an exception that the shop hides (recording
	// orders-filter-bad-field) instead of a fatal error (infra-php-memory-exhausted).
	Exception bool
}

// document tells of one kind of document, as poisoned asks.
func (p Poison) document(kind DocumentKind) func(int64) bool {
	if p.Document == nil {
		return nil
	}
	return func(id int64) bool { return p.Document(kind, id) }
}

// poisoned returns the failure of an answer that would hold one of rows.
func poisoned[R keyed](c *call, p Poison, bad func(id int64) bool, listed bool, rows ...R) *failure {
	if bad == nil || p.ListOnly && !listed || !slices.ContainsFunc(rows, func(r R) bool { return bad(r.key()) }) {
		return nil
	}
	if want, narrow := c.fields(); p.Field != "" && narrow {
		if listed {
			items, shown := want["items"]
			if !shown {
				return nil
			}
			want = items
		}
		if _, shown := want[p.Field]; want != nil && !shown {
			return nil
		}
	}
	if p.Exception {
		f := fail(http.StatusInternalServerError, "Internal Error. Details are available in Magento log file. Report ID: webapi-6b022b7a9139b")
		f.session = true
		return f
	}
	return &failure{fatal: true, session: true}
}
