package copernicatest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// newest is the version that the package's other files describe. What the versions
// differ in, from their documents (rest-requests.md and the page of each call) and from
// what others saw:
//
//	version                       1          2          3          4
//	token                         in the query, the access token   Bearer
//	PUT                           303        303        204        204
//	PUT that creates              303        303        201        201
//	DELETE                        200        200        204        204
//	body of PUT …/profiles        flat       {fields}   {fields}   {fields}
//	subprofile: PUT of many       -          yes        yes        yes
//	subprofile: PUT, DELETE       …/fields   yes        yes        yes
//	X-Created of a subprofile's PUT          no         yes        yes
//	GET /consumption              -          yes        yes        yes
//	lists of unsubscribes         -          yes        yes        yes
//	DELETE completely             -          yes        yes        yes
//	DELETE of many profiles, PUT of a
//	collection's subprofiles      -          -          yes        yes
const newest = 4

func versionPath(version int) string { return "/v" + strconv.Itoa(version) }

// has reports whether the documents of a version know a call. What is no call at all is
// the routes' affair.
func (a *Account) has(req *request) bool {
	first, third := req.elem(0), req.elem(2)
	write := req.method == http.MethodPut || req.method == http.MethodDelete
	switch {
	case req.version >= 3:
		return true
	case first == "database" && third == "profiles" && req.method == http.MethodDelete,
		first == "collection" && third == "subprofiles" && req.method == http.MethodPut:
		return false
	case req.version == 2:
		return true
	case first == "consumption", first == "publisher", first == "ms":
		return false
	case a.cfg.Version1Upserts:
		return true
	case first == "profile" && third == "subprofiles":
		return !write
	case first == "subprofile":
		return !write || third == "fields"
	}
	return true
}

// inWordsOf gives a success the status and headers of its version.
func (a *Account) inWordsOf(req *request, ans *answer) {
	switch req.method {
	case http.MethodPut:
		a.putStatus(req, ans)
	case http.MethodPost:
		if a.cfg.Version1CreateRedirects && req.version == 1 && ans.created != 0 && ans.touched != 0 {
			token, _ := req.query.get("access_token")
			*ans = answer{
				status:   http.StatusFound,
				location: "/v1/" + ans.kind + "/" + strconv.FormatInt(ans.created, 10) + "?access_token=" + url.QueryEscape(token),
			}
		}
	case http.MethodDelete:
		if req.version <= 2 && ans.deleted != 0 {
			ans.status = http.StatusOK
		}
	}
}

// putStatus gives a successful PUT its status, and the addresses that go with it.
func (a *Account) putStatus(req *request, ans *answer) {
	status := a.cfg.PutStatus
	if status == 0 && req.version <= 2 {
		status = http.StatusSeeOther
	}
	if status != 0 {
		ans.status = status
	}
	row := ""
	if id := max(ans.created, ans.touched); id != 0 && req.version <= 2 && a.cfg.LocationNamesRow {
		row = versionPath(req.version) + "/" + ans.kind + "/" + strconv.FormatInt(id, 10)
	}
	switch {
	case status == http.StatusSeeOther && row != "":
		ans.location = row
	case status == http.StatusSeeOther && strings.HasSuffix(req.elem(len(req.path)-1), "profiles"):
		ans.location = req.rawURI
	case status == http.StatusSeeOther:
		// The request's own address, for a creation as well; /fields is cut off.
		ans.location = strings.Replace(req.rawURI, "/fields", "", 1)
	case row != "":
		ans.xlocation = row
	}
}
