package copernicatest

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Messages as others saw them, word for word: clients can only tell refusals apart
// by them (behaviours 6, 7).
const (
	msgToken        = "Invalid access token"
	msgMethod       = "Invalid method"
	msgNoDatabase   = "No database with supplied ID"
	msgNoCollection = "No collection with given ID"
	msgNoProfile    = "No entity with supplied ID"
	msgNoSub        = "No subprofile with supplied ID"
	msgData         = "Invalid data provided"
	msgProfile      = "Failed to create profile"
	msgSub          = "Subprofile could not be created"
	msgRemoved      = "This profile has already been removed"
	msgSubRemoved   = "This subprofile has already been removed"
	msgFilter       = "URL parameter fields is required"
	msgFieldID      = "No field id supplied for the field"
	// msgField was seen for a field that cannot be found. Using it for a filter or a
	// body that names an unknown field is a guess.
	msgField = "Failed to get the field"
	// What is said about a program that an account has no right to, and about a copy of a
	// mailing that is not there, is a guess.
	msgForbidden     = "You have no access to this part of the application"
	msgNoDestination = "No destination with supplied ID"
)

// maxBody is far beyond any body that a client should send.
const maxBody = 64 << 20

// answer is what a call leads to. Its zero value is 200 with an empty body.
type answer struct {
	status    int
	created   int64  // X-Created, 0: none
	kind      string // profile, subprofile, field …: with created or deleted
	deleted   int64  // X-deleted, 0: none
	touched   int64  // the row that was written, 0: none or many things
	body      []byte
	location  string // of a 303, without host
	xlocation string // without host, where it is not that of created
}

func fail(message string) answer { return failStatus(http.StatusBadRequest, message) }

func failStatus(status int, message string) answer {
	var w writer
	w.raw(`{"error":{"message":`)
	w.string(message)
	w.raw(`}}`)
	return answer{status: status, body: w.b}
}

func missingElement(n int) answer {
	return fail("Invalid request, element " + strconv.Itoa(n) + " is missing in 'directory' path")
}

// request is a call to the API, its body read and its path split.
type request struct {
	version int
	method  string
	path    []string // behind the version, unescaped
	query   query
	body    object
	bad     bool   // the body is no object
	rawURI  string // path and query as sent, without the version
	now     time.Time
}

// elem returns a path element, "" if there is none.
func (r *request) elem(i int) string {
	if i < len(r.path) {
		return r.path[i]
	}
	return ""
}

// serve sends a request to the host it was meant for.
func (a *Account) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	switch {
	case path == "/" || path == "":
		a.authenticate(w, r)
	case path == "/en/authorize" || path == "/nl/authorize":
		a.authorize(w, r)
	case len(path) > 3 && path[:2] == "/v" && path[2] >= '1' && path[2] <= '4' && path[3] == '/':
		a.serveAPI(w, r, int(path[2]-'0'), path[3:])
	default:
		a.send(w, r, newest, fail(msgMethod))
	}
}

func (a *Account) serveAPI(w http.ResponseWriter, r *http.Request, version int, path string) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		// The sender went away in the middle: nothing was received, nothing is done.
		panic(http.ErrAbortHandler)
	}
	req := &request{version: version, method: r.Method, query: parseQuery(r.URL.RawQuery), rawURI: path}
	if r.URL.RawQuery != "" {
		req.rawURI += "?" + r.URL.RawQuery
	}
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if plain, err := url.PathUnescape(part); err == nil {
			part = plain
		}
		req.path = append(req.path, part)
	}
	req.body, err = decodeBody(r.Header.Get("Content-Type"), raw)
	req.bad = err != nil
	if a.cfg.Latency > 0 {
		// A caller that leaves meanwhile does not stop the call: as with a real server,
		// the write may come after its time-out.
		time.Sleep(a.cfg.Latency)
	}
	a.send(w, r, version, a.call(req, r.Header.Get("Authorization")))
}

// call works one API call at one instant.
func (a *Account) call(req *request, authorization string) answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	req.now = a.now()
	if req.elem(0) == "token" {
		return a.exchange(req)
	}
	if !a.entitled(req, authorization) {
		status := a.cfg.AuthFailure
		if status == 0 {
			status = http.StatusBadRequest
		}
		return failStatus(status, msgToken)
	}
	a.calls[req.now.Format(time.DateOnly)]++
	if !a.has(req) {
		return fail(msgMethod)
	}
	ans := a.route(req)
	if ans.status < 300 {
		a.inWordsOf(req, &ans)
	}
	return ans
}

// send writes an answer. Every answer carries its length.
func (a *Account) send(w http.ResponseWriter, r *http.Request, version int, ans answer) {
	if ans.status == 0 {
		ans.status = http.StatusOK
	}
	if ans.status == http.StatusBadRequest && a.cfg.ErrorStatus != 0 {
		ans.status = a.cfg.ErrorStatus
	}
	h := w.Header()
	base := "http://" + r.Host
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	h.Set("Content-Type", "application/json")
	h.Set("Date", a.now().UTC().Format(http.TimeFormat))
	if ans.created != 0 {
		id := strconv.FormatInt(ans.created, 10)
		h.Set("X-Created", id)
		h.Set("X-location", base+versionPath(version)+"/"+ans.kind+"/"+id)
	}
	if ans.xlocation != "" {
		h.Set("X-location", base+ans.xlocation)
	}
	if ans.deleted != 0 {
		h.Set("X-deleted", ans.kind+" "+strconv.FormatInt(ans.deleted, 10))
	}
	if ans.location != "" {
		h.Set("Location", base+ans.location)
	}
	if ans.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(ans.body)))
	}
	w.WriteHeader(ans.status)
	if len(ans.body) > 0 {
		_, _ = w.Write(ans.body)
	}
}
