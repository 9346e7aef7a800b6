package copernica

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"
)

// changedMargin is how much earlier than asked for changes are listed: Copernica's
// times have no zone, and an hour of autumn comes twice.
const changedMargin = 2 * time.Hour

// errStopped ends a listing whose reader has seen enough.
var errStopped = errors.New("stopped")

// Changed lists the live profiles that were changed since a time, or all of them since
// the zero time, a page at a time in the order of id. Profiles changed up to two hours
// before come too. It is a hint and no proof: a change within the second in which a list
// is made may be left to the next one (copernica-behaviours 46, 49 and 52).
func (d *Database) Changed(ctx context.Context, since time.Time) iter.Seq2[[]Profile, error] {
	return func(yield func([]Profile, error) bool) {
		l := d.profiles()
		if !since.IsZero() && !d.shadowsModified() {
			zone, err := time.LoadLocation("Europe/Amsterdam")
			if err != nil {
				yield(nil, err)
				return
			}
			l.since = since.Add(-changedMargin).In(zone).Format(time.DateTime)
		}
		d.client.profiles(ctx, l, yield)
	}
}

// All lists the live profiles with ids above one, a page at a time in the order of id.
func (d *Database) All(ctx context.Context, after int64) iter.Seq2[[]Profile, error] {
	return func(yield func([]Profile, error) bool) {
		l := d.profiles()
		l.after = after
		d.client.profiles(ctx, l, yield)
	}
}

// profiles hands the live profiles of a list on, until there are no more or nobody wants
// them.
func (c *Client) profiles(ctx context.Context, l listing, yield func([]Profile, error) bool) {
	stopped := false
	err := c.walk(ctx, l, func(rows []rawRow, _ bool) error {
		var page []Profile
		for _, r := range rows {
			if !bool(r.Removed) {
				page = append(page, r.profile())
			}
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

// shadowsModified reports whether a field of the merchant's hides the time of the last
// change from conditions (copernica-behaviours 37).
func (d *Database) shadowsModified() bool {
	for _, f := range d.held.Load().fields {
		if strings.EqualFold(f.Name, "modified") {
			return true
		}
	}
	return false
}
