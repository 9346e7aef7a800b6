package magento

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
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
	// Subscription says that customers tell whether they take the newsletter, and
	// SubscriptionSingly that lists leave it out, as before Magento 2.4.0, so that each
	// customer is read for it. A shop without customers counts as telling.
	Subscription, SubscriptionSingly bool
	// Search is how long the shop took to find that nobody changed a day from now: it
	// reads all customers for that, since their table has no index on updated_at.
	Search time.Duration
}

// customerTraits is a customer as far as it shows a habit of the shop.
type customerTraits struct {
	ID         integer         `json:"id"`
	Extensions json.RawMessage `json:"extension_attributes"`
}

// tells reports whether the newsletter's state is there; extension_attributes is `[]`
// where there are none.
func (t customerTraits) tells() bool {
	var attributes map[string]json.RawMessage
	return json.Unmarshal(t.Extensions, &attributes) == nil && attributes["is_subscribed"] != nil
}

// Traits finds out the habits of the shop in four or five calls that cost it little; a page
// of pageSize customers is asked for, and found empty.
func (c *Client) Traits(ctx context.Context, pageSize int) (Traits, error) {
	var t Traits
	var answer struct {
		Items []customerTraits `json:"items"`
		Total integer          `json:"total_count"`
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
		if t.Subscription = customer.tells(); t.Subscription {
			continue
		}
		var single customerTraits
		path := "/customers/" + strconv.FormatInt(int64(customer.ID), 10)
		if err := c.read(ctx, "customers/{id}", path, criteriaFields("id,extension_attributes[is_subscribed]"), decodeInto(&single)); err != nil {
			return Traits{}, err
		}
		t.Subscription, t.SubscriptionSingly = single.tells(), true
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
