package copernica

import (
	"context"
	"slices"
)

// Live returns those of ids that are live profiles of this database, ascending. It
// is the cheap look before anything is written below profiles known by id: one call
// for all ids within a thousand of each other, so never more calls than ids.
func (d *Database) Live(ctx context.Context, ids []int64) ([]int64, error) {
	var live []int64
	err := d.among(ctx, ids, func(r *rawRow) { live = append(live, int64(r.ID)) })
	if err != nil {
		return nil, err
	}
	return live, nil
}

// Among returns the live profiles of this database that have one of the ids, in their
// order, with as many calls as [Database.Live].
func (d *Database) Among(ctx context.Context, ids []int64) ([]Profile, error) {
	var live []Profile
	err := d.among(ctx, ids, func(r *rawRow) { live = append(live, r.profile()) })
	if err != nil {
		return nil, err
	}
	return live, nil
}

func (d *Database) among(ctx context.Context, ids []int64, found func(*rawRow)) error {
	want := slices.Clone(ids)
	slices.Sort(want)
	want = slices.Compact(want)
	if n, _ := slices.BinarySearch(want, 1); n > 0 {
		return d.refuse("", "no profile id given")
	}
	l := d.profiles()
	for len(want) > 0 {
		first := want[0]
		near, _ := slices.BinarySearch(want, first+maxRows)
		last := want[near-1]
		query := append([]byte(l.path), '?')
		query = filterBelow(filterAbove(query, first-1), last+1)
		_, rows, more, err := d.client.page(ctx, l, query)
		if err != nil {
			return err
		}
		seen := first - 1
		for i := range rows {
			r := &rows[i]
			if int64(r.ID) <= seen || int64(r.ID) > last {
				return malformed(l.route, "profiles that were not asked for")
			}
			seen = int64(r.ID)
			if _, asked := slices.BinarySearch(want, seen); asked && !bool(r.Removed) {
				found(r)
			}
		}
		if more {
			last = seen // a page smaller than asked for
		}
		done, _ := slices.BinarySearch(want, last+1)
		want = want[done:]
	}
	return nil
}
