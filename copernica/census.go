package copernica

import (
	"context"
	"strings"
)

// KeysAbove returns the keys of the live profiles whose key begins with prefix,
// letter by letter, and whose id is greater than id, by id: at most a thousand of
// them, complete says whether that is all. prefix must not be empty nor hold %, _ or
// \, which Copernica reads as wildcards.
func (d *Database) KeysAbove(ctx context.Context, key KeyField, prefix string, id int64) (keys []string, complete bool, err error) {
	return d.keysAbove(ctx, d.profiles(), key, prefix, id)
}

// KeysAbove returns the keys of the live subprofiles of the collection, whatever profile they
// stand under, as [Database.KeysAbove] does those of profiles.
func (c *Collection) KeysAbove(ctx context.Context, key KeyField, prefix string, id int64) (keys []string, complete bool, err error) {
	return c.keysAbove(ctx, c.everywhere(), key, prefix, id)
}

func (t *table) keysAbove(ctx context.Context, l listing, key KeyField, prefix string, id int64) (keys []string, complete bool, err error) {
	return t.someKeys(ctx, l, key, prefix, func(query []byte) []byte {
		return filterAbove(filter(query, key.name, like, prefix+"%"), max(id, 0))
	}, func(raw rawRow, in string) bool { return int64(raw.ID) > id && strings.HasPrefix(in, prefix) })
}

// KeysBeside returns the keys of the live profiles whose key holds a hyphen and does not
// begin with prefix, in any case of letters, by id: at most a thousand of them, complete
// says whether that is all. prefix is as in [Database.KeysAbove].
func (d *Database) KeysBeside(ctx context.Context, key KeyField, prefix string) (keys []string, complete bool, err error) {
	folded := strings.ToLower(prefix)
	return d.someKeys(ctx, d.profiles(), key, prefix, func(query []byte) []byte {
		return filter(filter(query, key.name, like, "%-%"), key.name, unlike, prefix+"%")
	}, func(_ rawRow, in string) bool {
		return strings.Contains(in, "-") && !strings.HasPrefix(strings.ToLower(in), folded)
	})
}

// someKeys reads the first page of a list's rows that conditions let through, and returns
// the keys of those that fit: Copernica compares more loosely, and may ignore a condition.
func (t *table) someKeys(ctx context.Context, l listing, key KeyField, prefix string, conditions func([]byte) []byte, fits func(rawRow, string) bool) (keys []string, complete bool, err error) {
	_, f, err := t.guard(ctx, key)
	if err != nil {
		return nil, false, err
	}
	if prefix == "" || strings.ContainsAny(prefix, `%_\`) {
		return nil, false, t.refuse(f.Name, `a prefix must not be empty nor hold %, _ or \`)
	}
	_, rows, more, err := t.client.page(ctx, l, conditions(append([]byte(l.path), '?')))
	if err != nil {
		return nil, false, err
	}
	for _, raw := range rows {
		in, ok := raw.Fields[key.name]
		switch {
		case !ok:
			return nil, false, t.withoutKey(key, l)
		case fits(raw, in) && !bool(raw.Removed):
			keys = append(keys, in)
		}
	}
	return keys, !more, nil
}
