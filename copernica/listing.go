package copernica

import (
	"context"
	"iter"
)

// All lists the live subprofiles of the collection with ids above one, whatever profile
// they stand under, a page at a time in the order of id.
func (c *Collection) All(ctx context.Context, after int64) iter.Seq2[[]Subprofile, error] {
	return func(yield func([]Subprofile, error) bool) {
		l := c.everywhere()
		l.after = after
		stopped := false
		err := c.client.walk(ctx, l, func(rows []rawRow, _ bool) error {
			var live []rawRow
			for _, r := range rows {
				if !bool(r.Removed) {
					live = append(live, r)
				}
			}
			page, err := c.all(l.route, live, 0)
			if err != nil {
				return err
			}
			if !yield(page, nil) {
				stopped = true
				return errStopped
			}
			return nil
		})
		if err != nil && !stopped {
			yield(nil, err)
		}
	}
}
