package copernica

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// rawRow is a profile or subprofile as Copernica gives it.
type rawRow struct {
	ID         phpInt
	Database   phpInt // of a profile
	Profile    phpInt // of a subprofile
	Collection phpInt // of a subprofile
	Fields     phpMap
	Removed    phpRemoved
	Created    phpString
	Modified   phpString
}

// listing is a list of rows: all of them, or those whose key equals value.
type listing struct {
	route, path string
	rows        string // what the rows are called
	key, value  string
	after       int64  // rows with higher ids only
	since       string // not changed before this Amsterdam local time; "": any
	// unsure says that Copernica may ignore conditions on this list, which then are
	// worth a saving and nothing more.
	unsure bool
}

// page reads one page of a list, at most maxRows rows by ascending id. more says
// that the list goes on after them.
func (c *Client) page(ctx context.Context, l listing, query []byte) (p page[rawRow], rows []rawRow, more bool, err error) {
	query = append(and(query), "orderby=id&order=asc&limit="...)
	query = strconv.AppendInt(query, maxRows, 10)
	if err := c.get(ctx, l.route, string(query), &p); err != nil {
		return p, nil, false, err
	}
	rows, err = p.rows()
	switch {
	case err != nil:
		return p, nil, false, malformed(l.route, err.Error())
	case len(rows) == 0 && p.Total != nil && *p.Total > 0:
		return p, nil, false, malformed(l.route, fmt.Sprintf("no %s of %d", l.rows, *p.Total))
	case p.Total != nil:
		return p, rows, len(rows) < int(*p.Total), nil
	default:
		return p, rows, len(rows) > 0 && !p.short(maxRows), nil
	}
}

// walk reads a whole list by ascending id and hands it on page by page; more says
// that another page follows. Each page begins after the last id of the one before,
// since offsets skip and repeat rows while data change (copernica-behaviours 48).
func (c *Client) walk(ctx context.Context, l listing, each func(rows []rawRow, more bool) error) error {
	last, seen, offsets := l.after, 0, false
	for {
		query := append(make([]byte, 0, 192), l.path...)
		query = append(query, '?')
		if l.key != "" {
			query = filter(query, l.key, equals, l.value)
		}
		if l.since != "" {
			query = filter(query, "modified", atLeast, l.since)
		}
		switch {
		case offsets:
			query = strconv.AppendInt(append(and(query), "start="...), int64(seen-1), 10)
		case last > 0:
			query = filterAbove(query, last)
		}
		p, rows, more, err := c.page(ctx, l, query)
		if err != nil {
			return err
		}
		if l.unsure && !offsets && last > 0 && len(rows) > 0 && int64(rows[0].ID) <= last {
			// The condition on the id is ignored, which leaves offsets.
			offsets = true
			continue
		}
		if offsets {
			// The last row stands first again unless rows before it were removed, when
			// others have moved out of sight.
			if len(rows) == 0 || int64(rows[0].ID) != last {
				return malformed(l.route, l.rows+" that moved while they were listed")
			}
			rows = rows[1:]
			if p.Total != nil {
				more = seen+len(rows) < int(*p.Total)
			}
			if more && len(rows) == 0 {
				return malformed(l.route, "a list that ends early")
			}
		}
		for _, raw := range rows {
			if int64(raw.ID) <= last {
				return malformed(l.route, l.rows+" out of order")
			}
			last = int64(raw.ID)
		}
		seen += len(rows)
		if err := each(rows, more); err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// find returns the live rows of a list whose key equals value exactly, by id.
// Copernica's own comparison ignores case and more; what it finds beyond is left out.
func (t *table) find(ctx context.Context, key KeyField, value string, l listing) ([]rawRow, error) {
	_, f, err := t.guard(ctx, key)
	if err != nil {
		return nil, err
	}
	if value == "" {
		return nil, t.refuse(f.Name, "the key value is empty")
	}
	l.key, l.value = key.name, value
	var found []rawRow
	err = t.client.walk(ctx, l, func(rows []rawRow, more bool) error {
		alike := false
		for _, raw := range rows {
			in, ok := raw.Fields[key.name]
			switch {
			case !ok:
				return t.withoutKey(key, l)
			case in == value && !bool(raw.Removed):
				found = append(found, raw)
			}
			alike = alike || strings.EqualFold(strings.TrimSpace(in), strings.TrimSpace(value))
		}
		if more && !alike && !l.unsure {
			// A page full of others: the filter was ignored, and all other rows would follow.
			return t.refuse(key.name, "Copernica ignores the filter on the key field: check the field in Copernica, then start again")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// withoutKey is about rows that come without their key field.
func (t *table) withoutKey(key KeyField, l listing) error {
	return t.refuse(key.name, "Copernica gives "+l.rows+" without the key field, it was renamed or removed: rename it back, then start again")
}

// update writes the given fields of one row; no fields are no call. encoded gives them
// the form that the path wants.
func (t *table) update(ctx context.Context, route, path string, fields map[string]string, encoded func(map[string]string) []byte) error {
	if len(fields) == 0 {
		return nil
	}
	h, err := t.fresh(ctx)
	if err != nil {
		return err
	}
	if err := t.guardFields(h, fields); err != nil {
		return err
	}
	_, err = t.client.write(ctx, http.MethodPut, route, path, encoded(fields))
	return err
}

// beforeWrite marks the error of a look that kept a write from being sent, unless it is
// Copernica's own no, which says the same.
func beforeWrite(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.refused {
		return err
	}
	return unsent{err}
}

// remove removes one row; one already removed is success.
func (c *Client) remove(ctx context.Context, route, path string, body []byte) error {
	_, err := c.write(ctx, http.MethodDelete, route, path, body)
	if errors.Is(err, errRemoved) {
		return nil
	}
	return err
}

// upserted reads the answer to an upsert.
func (c *Client) upserted(a *answer, entity string) Upserted {
	id := positive(a.header.Get("X-Created"))
	if !c.version.locates {
		id = a.created(entity)
	}
	return Upserted{Created: id > 0 || a.status == http.StatusCreated, ID: id}
}
