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
	_, f, err := d.guard(ctx, key)
	if err != nil {
		return nil, false, err
	}
	if prefix == "" || strings.ContainsAny(prefix, `%_\`) {
		return nil, false, d.refuse(f.Name, `a prefix must not be empty nor hold %, _ or \`)
	}
	l := d.profiles()
	query := append([]byte(l.path), '?')
	query = filterAbove(filter(query, key.name, like, prefix+"%"), max(id, 0))
	_, rows, more, err := d.client.page(ctx, l, query)
	if err != nil {
		return nil, false, err
	}
	for _, raw := range rows {
		in, ok := raw.Fields[key.name]
		switch {
		case !ok:
			return nil, false, d.withoutKey(key, l)
		case int64(raw.ID) > id && strings.HasPrefix(in, prefix) && !bool(raw.Removed):
			keys = append(keys, in)
		}
	}
	return keys, !more, nil
}
