package magento

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// consentPath is the field that a search leaves out before Magento 2.4.0.
const consentPath = "extension_attributes.is_subscribed"

// untold is what a walk of customers remembers between decoding a page and yielding it:
// whom the shop did not say anything of. A customer that the list is silent about must
// not read as one who has unsubscribed.
type untold struct {
	asked bool
	ids   map[int64]bool
}

func newUntold(fields []string) *untold {
	return &untold{asked: slices.Contains(fields, consentPath) || slices.Contains(fields, "extension_attributes"), ids: map[int64]bool{}}
}

// note takes in one row.
func (u *untold) note(id int64, told bool) {
	if u.asked && !told {
		u.ids[id] = true
	}
}

// complete reads the customers of a page singly whom the list was silent about, as many
// at once as the client may. A shop that does not tell there either has no newsletter,
// and is not asked again.
func (u *untold) complete(ctx context.Context, c *Client, page *Page[Customer]) error {
	defer clear(u.ids)
	if len(u.ids) == 0 || c.noNewsletter.Load() {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range c.cfg.Concurrency {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(page.Items) {
					return
				}
				item := &page.Items[i]
				if item.Err != nil || !u.ids[item.ID] {
					continue
				}
				subscribed, err := c.subscribed(ctx, item.ID)
				if err != nil {
					cancel(err) // the first one counts
					return
				}
				item.Value.Subscribed = subscribed
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// subscribed reads one customer's consent; one that is gone by then has none.
func (c *Client) subscribed(ctx context.Context, id int64) (bool, error) {
	if c.noNewsletter.Load() {
		return false, nil
	}
	told := newUntold([]string{consentPath})
	one, err := c.customer(ctx, id, []string{consentPath}, told)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err == nil && len(told.ids) > 0 && !c.noNewsletter.Swap(true) {
		c.cfg.Log.Warn("the shop says of nobody whether they take the newsletter, and nobody counts as subscribed: its Newsletter module is off, or it is older than Magento 2.3")
	}
	return one.Subscribed, err
}
