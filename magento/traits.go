package magento

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Traits are habits of a shop that come with its version, a setting or its size. The
// client is right under each; an operator may want to know.
type Traits struct {
	Customers int64 // how many there are
	// MaxPageSize is the longest page that the shop gives; 0: as long as asked for.
	MaxPageSize int
	// RepeatsLastPage says that a page past the end repeats the last one, as up to
	// Magento 2.3.7.
	RepeatsLastPage bool
	// Subscription says that customers tell whether they take the newsletter. It is set
	// too for a shop without customers.
	Subscription bool
	// Search is how long the shop took to find that nobody changed a day from now: it
	// reads all customers for that, since their table has no index on updated_at.
	Search time.Duration
}

// Traits finds out the habits of the shop in four calls that cost it little; a page of
// pageSize customers is asked for, and found empty.
func (c *Client) Traits(ctx context.Context, pageSize int) (Traits, error) {
	var t Traits
	type row struct {
		ID         integer         `json:"id"`
		Extensions json.RawMessage `json:"extension_attributes"`
	}
	var answer struct {
		Items []row   `json:"items"`
		Total integer `json:"total_count"`
	}
	search := func(q criteria) error {
		answer.Items, answer.Total = nil, 0
		return c.read(ctx, "customers/search", "/customers/search", q.encode(), decodeInto(&answer))
	}

	if err := search(criteria{size: 1, fields: "items[id,extension_attributes[is_subscribed]],total_count"}); err != nil {
		return Traits{}, err
	}
	t.Customers, t.Subscription = int64(answer.Total), len(answer.Items) == 0
	for _, customer := range answer.Items {
		var attributes map[string]json.RawMessage // `[]` where there are none
		t.Subscription = json.Unmarshal(customer.Extensions, &attributes) == nil && attributes["is_subscribed"] != nil
	}

	if err := search(criteria{size: 1, page: 1_000_000_000, fields: "items[id],total_count"}); err != nil {
		return Traits{}, err
	}
	t.RepeatsLastPage = len(answer.Items) > 0

	nobody := [][]filter{{{"entity_id", "lt", "0"}}}
	err := search(criteria{groups: nobody, size: pageSize, fields: "items[id],total_count"})
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusBadRequest && e.maximum() > 0 {
		t.MaxPageSize, err = e.maximum(), nil
	}
	if err != nil {
		return Traits{}, err
	}

	began := c.cfg.Now()
	tomorrow := [][]filter{{{"updated_at", "gteq", shopTime(began.Add(24 * time.Hour))}}}
	if err := search(criteria{groups: tomorrow, size: 1, fields: "items[id],total_count"}); err != nil {
		return Traits{}, err
	}
	t.Search = c.cfg.Now().Sub(began)
	return t, nil
}
