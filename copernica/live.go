package copernica

import (
	"context"
	"slices"
)

// Live returns those of ids that are live profiles of this database, ascending. It
// is the cheap look before anything is written below profiles known by id: one call
// for all ids within a thousand of each other, so never more calls than ids.
func (d *Database) Live(ctx context.Context, ids []int64) ([]int64, error) {
	want := slices.Clone(ids)
	slices.Sort(want)
	want = slices.Compact(want)
	if n, _ := slices.BinarySearch(want, 1); n > 0 {
		return nil, d.refuse("", "no profile id given")
	}
	l := d.profiles()
	var live []int64
	for len(want) > 0 {
		first := want[0]
		near, _ := slices.BinarySearch(want, first+maxRows)
		last := want[near-1]
		query := append([]byte(l.path), '?')
		query = filterBelow(filterAbove(query, first-1), last+1)
		_, rows, more, err := d.client.page(ctx, l, query)
		if err != nil {
			return nil, err
		}
		seen := first - 1
		for _, r := range rows {
			if int64(r.ID) <= seen || int64(r.ID) > last {
				return nil, malformed(l.route, "profiles that were not asked for")
			}
			seen = int64(r.ID)
			if _, asked := slices.BinarySearch(want, seen); asked && !bool(r.Removed) {
				live = append(live, seen)
			}
		}
		if more {
			last = seen // a page smaller than asked for
		}
		done, _ := slices.BinarySearch(want, last+1)
		want = want[done:]
	}
	return live, nil
}
