package copernica

import (
	"fmt"
	"path"
	"strings"
)

// newest is the version of the API that Config.Version 0 means.
const newest = 4

// dialect is how the versions of the REST API differ (copernica-rest.md 1, 6 and 9,
// and the documents of each version).
type dialect struct {
	number int
	// queryToken says that the access token itself goes with every call, in the query.
	// Else it is exchanged for an authorization token, which goes in a header.
	queryToken bool
	// flatProfiles says that the list of profiles takes values at the top level of a body.
	flatProfiles bool
	// looksFirst says that no call upserts a subprofile, or removes one, as far as the
	// documents go, and that a subprofile is written through its fields.
	looksFirst bool
	// keepsRemoved says that nothing removes a profile so that its id does not show it.
	keepsRemoved bool
	// lists says that there are lists of unsubscribes, and begins that the Marketing Suite's
	// is asked for a period by begintime and not by a condition.
	lists, begins bool
	// locates says that a Location, or X-Location, may name a row that was there before:
	// only X-Created tells of a creation.
	locates bool
	// movedOnCreate says that a 302 may be the yes to a POST.
	movedOnCreate bool
}

// version returns the dialect of a version from 1 to 4.
func version(n int) dialect {
	return dialect{number: n, queryToken: n <= 3, flatProfiles: n == 1, looksFirst: n == 1, keepsRemoved: n == 1, lists: n >= 2, begins: n >= 3, locates: n <= 2, movedOnCreate: n == 1}
}

// path is the last element of the API's address, with a slash before it.
func (d dialect) path() string { return fmt.Sprintf("/v%d", d.number) }

// fits refuses an address that ends in another version.
func (d dialect) fits(api string) error {
	last := path.Base(api)
	if len(last) != len("v4") || last[0] != 'v' || last[1] < '1' || last[1] > '9' || "/"+last == d.path() {
		return nil
	}
	return settingError(fmt.Sprintf("the API URL ends in /%s and the version is %d: set SYNCD_COPERNICA_API_VERSION=%s, or end the URL in %s",
		last, d.number, strings.TrimPrefix(last, "v"), d.path()))
}

// profileBody encodes the values of a write to the list of profiles.
func (d dialect) profileBody(fields map[string]string) []byte {
	if d.flatProfiles {
		return flatBody(fields)
	}
	return fieldsBody(fields)
}
