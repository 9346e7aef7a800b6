package copernica

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

// maxAnswer bounds the answer to a write in bytes; successful ones are empty.
const maxAnswer = 64 << 10

// bodyShape is what a body looks like, whatever its Content-Type says.
type bodyShape uint8

const (
	shapeEmpty bodyShape = iota
	shapeJSON            // begins like JSON; it may still be cut short
	shapeHTML
	shapeText
)

func (s bodyShape) String() string {
	switch s {
	case shapeEmpty:
		return "(an empty answer)"
	case shapeHTML:
		return "(an HTML page instead of JSON)"
	case shapeJSON:
		return "(JSON that is malformed or of another shape)"
	default:
		return "(plain text instead of JSON)"
	}
}

// answer is what a call brought back.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	shape   bodyShape
	message string // of an error structure in the body
	failed  bool   // the body has an error structure
}

// stay is a RoundTripper that keeps tokens from what http.Client follows, copies or
// puts into error texts: it reduces Location to its path, under another name, and adds
// the secrets of a query to a copy of the request that nobody sees but the transport.
type stay struct{ base http.RoundTripper }

// secretQuery is what a call's context has for [stay] to add to the query, escaped.
type secretQuery struct{ text []byte }

type secretQueryKey struct{}

// withSecretQuery gives a call parameters that are secret: name, value, name, value ….
func withSecretQuery(ctx context.Context, parameters ...string) context.Context {
	q := &secretQuery{}
	for i := 0; i+1 < len(parameters); i += 2 {
		q.text = escape(append(append(and(q.text), parameters[i]...), '='), parameters[i+1])
	}
	return context.WithValue(ctx, secretQueryKey{}, q)
}

// locationPath carries the path of a Location header past http.Client.
const locationPath = "Syncd-Location-Path"

func (s stay) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req
	if q, ok := req.Context().Value(secretQueryKey{}).(*secretQuery); ok {
		sent = req.WithContext(req.Context())
		address := *req.URL
		address.RawQuery = string(append(and([]byte(address.RawQuery)), q.text...))
		sent.URL = &address
	}
	resp, err := s.base.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	resp.Request = req
	if resp.Header == nil {
		return resp, nil
	}
	for _, name := range [...]string{"X-Location", "Location"} {
		v := resp.Header.Get(name)
		if v == "" {
			continue
		}
		resp.Header.Del(name)
		v, _, _ = strings.Cut(v, "?")
		if u, err := url.Parse(v); err == nil {
			resp.Header.Set(locationPath, u.Path)
		} else {
			resp.Header.Set(locationPath, "/")
		}
	}
	return resp, nil
}

// get reads a JSON object into v.
func (c *Client) get(ctx context.Context, route, path string, v any) error {
	_, err := c.getAt(ctx, route, path, v)
	return err
}

// getAt reads a JSON object into v and returns when Copernica gave it, by its own clock if
// the answer tells.
func (c *Client) getAt(ctx context.Context, route, path string, v any) (time.Time, error) {
	a, err := c.call(httpx.WithPolicy(ctx, httpx.Idempotent), http.MethodGet, route, path, nil)
	if err != nil {
		return time.Time{}, err
	}
	if a.status != http.StatusOK || a.shape != shapeJSON || json.Unmarshal(a.body, v) != nil {
		return time.Time{}, a.noJSON(route)
	}
	at, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		at = c.now()
	}
	return at, nil
}

// noJSON types an answer under a status of success that is no JSON. A page comes
// from a wrong address or a proxy; waiting mends the second.
func (a *answer) noJSON(route string) *Error {
	e := &Error{Status: a.status, Message: a.unfit(), Route: route, Class: fault.Retry}
	if a.shape == shapeHTML || a.shape == shapeText {
		e.fix = fixURL
	}
	return e
}

func (a *answer) unfit() string {
	if a.shape == shapeJSON && !json.Valid(a.body) {
		return "(JSON that is cut short)"
	}
	return a.shape.String()
}

// write sends a body and demands a success: 200, 201, 204 and 303 alike.
func (c *Client) write(ctx context.Context, method, route, path string, body []byte) (*answer, error) {
	a, err := c.call(httpx.WithPolicy(ctx, httpx.Once), method, route, path, body)
	if err != nil {
		return nil, err
	}
	// Only an empty body, or JSON without an error, is Copernica's yes: an HTML
	// page under 200 comes from somebody in between.
	if a.shape == shapeEmpty || a.shape == shapeJSON && json.Valid(a.body) {
		return a, nil
	}
	return nil, a.noJSON(route)
}

// call makes one call, and once more with a new token when the token is refused.
// Its answer has a status that means success and no error structure.
func (c *Client) call(ctx context.Context, method, route, path string, body []byte) (*answer, error) {
	t, err := c.tokens.current(ctx)
	if err != nil {
		return nil, unsent{err}
	}
	for again := false; ; again = true {
		if ctx.Err() != nil {
			return nil, unsent{&callError{route, "canceled", context.Cause(ctx)}}
		}
		if outdated, ok := ctx.Value(outdatedKey{}).(func() bool); ok && outdated() {
			return nil, c.unanswered(route, errOutdated) // getting a token took long
		}
		a, err := c.once(ctx, t, method, route, path, body)
		if err != nil {
			return nil, err
		}
		if !a.failed && c.success(method, a) {
			if at, err := http.ParseTime(a.header.Get("Date")); err == nil {
				c.clock.Store(at.Unix())
			}
			c.tokens.accept(ctx, t)
			return a, nil
		}
		refusal := c.refusal(route, a.status, a.message, a.shape)
		if refusal.Class == fault.Renew && withoutRight(ctx, a) {
			refusal.Class = fault.Configuration
			return nil, refusal
		}
		if refusal.Class != fault.Renew {
			if refusal.refused {
				c.tokens.accept(ctx, t)
			}
			return nil, refusal
		}
		if again {
			return nil, c.tokens.credentials(ctx, refusal, true)
		}
		// A refused token is noticed before anything else, so the call had no
		// effect and may be made again.
		fresh, err := c.tokens.renew(ctx, t)
		if err != nil {
			return nil, unsent{err}
		}
		if fresh == nil {
			return nil, c.tokens.credentials(ctx, refusal, t.renewed)
		}
		t = fresh
	}
}

// success reports whether the status means yes. A 303 is one when it points back
// into the API; a proxy's log-in page is elsewhere.
func (c *Client) success(method string, a *answer) bool {
	switch a.status {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		return true
	case http.StatusFound:
		return c.version.movedOnCreate && method == http.MethodPost && strings.Contains(a.header.Get(locationPath), "profile/")
	case http.StatusSeeOther:
		path := a.header.Get(locationPath)
		return path == "" || strings.Contains(path, "/database") || strings.Contains(path, "/collection/") ||
			strings.Contains(path, "/profile/") || strings.Contains(path, "/subprofile/")
	}
	return false
}

// once puts one request on the wire.
func (c *Client) once(ctx context.Context, t *token, method, route, path string, body []byte) (*answer, error) {
	if t.header == nil {
		ctx = withSecretQuery(ctx, "access_token", t.value)
	}
	req := c.rest.R().SetContext(ctx)
	if t.header != nil {
		req.Header["Authorization"] = t.header
	}
	if body != nil {
		req.Header["Content-Type"] = jsonType
		req.Body = bytes.NewReader(body)
	}
	resp, err := send(req, method, c.api+path)
	if err != nil {
		return nil, c.unanswered(route, err)
	}
	defer drain(resp)
	limit := int64(maxAnswer)
	if method == http.MethodGet {
		limit = 0 // bounded by the transport
	}
	a, err := read(resp, limit)
	if err != nil {
		return nil, c.unanswered(route, err)
	}
	return a, nil
}

func (c *Client) unanswered(route string, err error) error {
	if errors.Is(err, errOutdated) {
		return unsent{&callError{route: route, text: errOutdated.Error(), err: errOutdated}}
	}
	return &callError{route: route, text: c.tokens.why(err) + reach(err, "SYNCD_COPERNICA_API_URL"), err: err}
}

// reach is what an operator does about a call that found nobody at a variable's address.
func reach(err error, variable string) string {
	e, ok := errors.AsType[*httpx.Error](err)
	if !ok || e.Kind != httpx.KindDial && e.Kind != httpx.KindUnknownHost {
		return ""
	}
	return ": check " + variable + ", and that this machine can reach it"
}

var jsonType = []string{"application/json"}

// send executes a request and strips the URL from its error.
func send(req *resty.Request, method, url string) (*http.Response, error) {
	resp, err := req.Execute(method, url)
	if err != nil {
		return nil, httpx.Plain(err)
	}
	return resp.RawResponse, nil
}

// read takes an answer in and looks at its shape. A limit of 0 is none.
func read(resp *http.Response, limit int64) (*answer, error) {
	a := &answer{status: resp.StatusCode, header: resp.Header}
	if resp.Body == http.NoBody || resp.ContentLength == 0 || resp.StatusCode == http.StatusNoContent {
		return a, nil
	}
	var from io.Reader = resp.Body
	if limit > 0 {
		from = io.LimitReader(from, limit)
	}
	body, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	a.body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if len(a.body) == 0 {
		return a, nil
	}
	switch a.body[0] {
	case '<':
		a.shape = shapeHTML
	case '{', '[', '"', 't', 'f', 'n', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		a.shape = shapeJSON
		if a.body[0] != '{' && !json.Valid(a.body) {
			a.shape = shapeText
		}
	default:
		a.shape = shapeText
	}
	if a.body[0] == '{' {
		a.message, a.failed = errorIn(a.body)
	}
	return a, nil
}

// errorIn finds {"error":{"message":"…"}} in an object, also as {"error":"…"}.
func errorIn(body []byte) (message string, failed bool) {
	if !bytes.Contains(body, []byte(`"error"`)) {
		return "", false
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return "", false
	}
	raw, ok := object["error"]
	if !ok {
		return "", false
	}
	switch string(raw) {
	case "null", "false", `""`, "[]":
		return "", false
	}
	var structure struct{ Message phpString }
	if json.Unmarshal(raw, &structure) == nil {
		return string(structure.Message), true
	}
	var text phpString
	_ = json.Unmarshal(raw, &text) // what is no text stays ""
	return string(text), true
}

// drain empties a body so that its connection can serve again.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	_ = resp.Body.Close()
}

// created returns the id that an answer to a create carries, or 0. X-Created
// decides; a Location counts only when it names one profile, field or the like.
func (a *answer) created(entity string) int64 {
	if id := positive(a.header.Get("X-Created")); id > 0 {
		return id
	}
	path := a.header.Get(locationPath)
	if i := strings.LastIndex(path, "/"+entity+"/"); i >= 0 {
		return positive(strings.TrimRight(path[i+len(entity)+2:], "/"))
	}
	return 0
}

// positive returns the number that s is, or 0.
func positive(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
