package copernica

import (
	"context"
	"fmt"
	"strconv"
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
	const route = "GET " + routeProfiles
	query := filterAbove(filter(nil, key.name, like, prefix+"%"), max(id, 0))
	query = strconv.AppendInt(append(query, "&orderby=id&order=asc&limit="...), maxRows, 10)
	var p page[rawProfile]
	if err := d.client.get(ctx, route, d.path("/profiles?"+string(query)), &p); err != nil {
		return nil, false, err
	}
	rows, err := p.rows()
	if err != nil {
		return nil, false, malformed(route, err.Error())
	}
	if len(rows) == 0 && p.Total != nil && *p.Total > 0 {
		return nil, false, malformed(route, fmt.Sprintf("no profiles of %d", *p.Total))
	}
	for _, raw := range rows {
		in, ok := raw.Fields[key.name]
		switch {
		case !ok:
			return nil, false, d.refuse(key.name, "Copernica gives profiles without the key field, it was renamed or removed: rename it back, then start again")
		case int64(raw.ID) > id && strings.HasPrefix(in, prefix) && !bool(raw.Removed):
			keys = append(keys, in)
		}
	}
	all := p.short(maxRows)
	if p.Total != nil {
		all = len(rows) >= int(*p.Total)
	}
	return keys, all, nil
}
