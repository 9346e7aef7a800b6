package magentotest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Versions are the versions of Magento whose REST API differs in what a sync daemon
// notices, in their order. [Installed] has the differences.
func Versions() []string {
	return []string{"2.3.7", "2.3.7-p1", "2.4.0", "2.4.2", "2.4.3", "2.4.3-p1", "2.4.4", "2.4.7"}
}

// Installed returns the settings of a shop as a version installs it. The differences are
// those that Magento's sources and its issues tell (31168, 31814, 33565 for the join,
// 25410 for what was before); only 2.4.7 was recorded:
//
//   - up to 2.3.7-p1 a page past the end repeats the last page, a search of customers
//     shows no is_subscribed, and there is no two-factor authentication;
//   - from 2.4.0 to 2.4.2 a page of customers fails that holds one who has two newsletter
//     subscriptions: see [Switches.TwoSubscriptions], which says who that is;
//   - 2.3.7-p1, 2.4.3 and 2.4.3-p1 limit pages to 300;
//   - before 2.4.4 an admin user's token is no JWT and lives 4 hours;
//   - from 2.4.4 on an integration's token is refused as Bearer.
//
// It panics on a version that [Versions] does not list.
func Installed(version string) Switches {
	s := Switches{Version: version}
	switch version {
	case "2.3.7", "2.3.7-p1":
		s.RepeatLastPage, s.NoSubscribed, s.NoTwoFactor, s.OpaqueTokens = true, true, true, true
	case "2.4.0", "2.4.2", "2.4.3", "2.4.3-p1":
		s.TwoFactor, s.OpaqueTokens = true, true
	case "2.4.4", "2.4.7":
		s.TwoFactor, s.BearerOff = true, true
	default:
		panic("magentotest: no such version: " + version)
	}
	s.SubscribedJoin = version == "2.4.0" || version == "2.4.2"
	s.InputLimit = version == "2.3.7-p1" || version == "2.4.3" || version == "2.4.3-p1"
	return s
}

// opaqueLife is how long a token lived before 2.4.4 (oauth/access_token_lifetime/admin).
const opaqueLife = 4 * time.Hour

// showVersion answers /magento_version: edition and minor version, never the patch.
func (s *Shop) showVersion(w http.ResponseWriter) {
	s.mu.Lock()
	version, hidden := s.switches.Version, s.switches.NoVersion
	s.mu.Unlock()
	if hidden {
		htmlPage(w, http.StatusNotFound, frame("404 Not Found", "<h1>Whoops, our bad...</h1>"))
		return
	}
	if version == "" {
		version = "2.4.7"
	}
	parts := strings.SplitN(version, ".", 3)
	htmlPage(w, http.StatusOK, "Magento/"+parts[0]+"."+parts[1]+" (Community)")
}

// joined returns the page of a search that joins the newsletter's rows to the customers:
// the page's limits count rows, and one with two rows of a customer is a hidden
// exception. The number of all counts customers.
func (s *Shop) joined(c criteria) (page []*record, total int, bad *failure) {
	whole := c
	whole.size, whole.page = nil, nil
	all, total, bad := s.store.search(whole, customerSchema())
	if bad != nil {
		return nil, 0, bad
	}
	var rows []*record
	for _, r := range all {
		rows = append(rows, r)
		if s.switches.TwoSubscriptions != nil && s.switches.TwoSubscriptions(r.ID) {
			rows = append(rows, r)
		}
	}
	from, to := c.window(len(rows))
	for i, r := range rows[from:to] {
		if i > 0 && rows[from+i-1].ID == r.ID {
			return nil, 0, fail(http.StatusInternalServerError,
				"Internal Error. Details are available in Magento log file. Report ID: webapi-"+strconv.FormatInt(0x600ad6e880167+r.ID, 16))
		}
		page = append(page, r)
	}
	return page, total, nil
}
