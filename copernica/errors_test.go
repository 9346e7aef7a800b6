package copernica_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
)

type unsentError struct{}

func (unsentError) Error() string           { return "dial tcp 127.0.0.1:1: connection refused" }
func (unsentError) NotSent() bool           { return true }
func (unsentError) FaultClass() fault.Class { return fault.Retry }

// written is an answer to a write, and what it means.
type written struct {
	resp    *http.Response
	err     error
	class   fault.Class
	outcome copernica.OutcomeKind
	says    string
}

// answer gives the answer as often as it is asked for.
func (a written) answer(request) (*http.Response, error) {
	if a.resp == nil {
		return nil, a.err
	}
	resp := *a.resp // 401 and 403 are answered twice
	return &resp, nil
}

// answersToWrites are every documented message and every shape of failure.
func answersToWrites() map[string]written {
	json := func(status int, message string) *http.Response {
		return reply(status, "application/json", failure(message))
	}
	return map[string]written{
		"invalid method":         {json(400, "Invalid method"), nil, fault.Configuration, copernica.Refused, "SYNCD_COPERNICA_API_URL"},
		"path too short":         {json(400, "Invalid request, element 3 is missing in 'directory' path"), nil, fault.Configuration, copernica.Refused, "element # is missing"},
		"no database":            {json(400, "No database with supplied ID"), nil, fault.Configuration, copernica.Refused, "SYNCD_COPERNICA_DATABASE"},
		"no collection":          {json(400, "No collection with given ID"), nil, fault.Configuration, copernica.Refused, "provision"},
		"no profile":             {json(400, "No entity with supplied ID"), nil, fault.Record, copernica.Refused, "No entity"},
		"no subprofile":          {json(400, "No subprofile with supplied ID"), nil, fault.Record, copernica.Refused, "No subprofile"},
		"invalid data":           {json(400, "Invalid data provided"), nil, fault.Record, copernica.Refused, "Invalid data"},
		"failed to create":       {json(400, "Failed to create profile"), nil, fault.Record, copernica.Refused, "gives no reason"},
		"subprofile not created": {json(400, "Subprofile could not be created"), nil, fault.Record, copernica.Refused, "could not be created"},
		"removed":                {json(400, "This profile has already been removed"), nil, fault.Record, copernica.Refused, "already been removed"},
		"subprofile removed":     {json(400, "This subprofile has already been removed"), nil, fault.Record, copernica.Refused, "already been removed"},
		"no fields":              {json(400, "URL parameter fields is required"), nil, fault.Configuration, copernica.Refused, "syncd provision"},
		"no field id":            {json(400, "No field id supplied for the field"), nil, fault.Configuration, copernica.Refused, "syncd provision"},
		"no field":               {json(400, "Failed to get the field"), nil, fault.Configuration, copernica.Refused, "syncd provision"},
		"full stop, other case":  {json(400, "failed to create PROFILE."), nil, fault.Record, copernica.Refused, ""},
		"error as text":          {reply(400, "", `{"error":"Invalid data provided"}`), nil, fault.Record, copernica.Refused, ""},
		"error under 200":        {json(200, "Failed to create profile"), nil, fault.Record, copernica.Refused, "200 Failed"},
		"unknown under 200":      {json(200, "Something else"), nil, fault.Retry, copernica.Unknown, "Something else"},
		"error without text":     {reply(200, "", `{"error":{"code":12}}`), nil, fault.Retry, copernica.Unknown, ""},
		"unknown message":        {json(400, "The moon is wrong"), nil, fault.Retry, copernica.Unknown, "The moon is wrong"},
		"400 page":               {reply(400, "text/html", "<html>"), nil, fault.Retry, copernica.Unknown, "HTML page"},
		"400 empty":              {reply(400, "", ""), nil, fault.Retry, copernica.Unknown, "empty answer"},
		"401 twice":              {reply(401, "", ""), nil, fault.Credentials, copernica.Refused, "API access-tokens"},
		"403 twice":              {reply(403, "text/html", "<html>"), nil, fault.Credentials, copernica.Refused, "API access-tokens"},
		"404 page":               {reply(404, "text/html", "<html>"), nil, fault.Configuration, copernica.Refused, "SYNCD_COPERNICA_API_URL"},
		"405":                    {reply(405, "", ""), nil, fault.Configuration, copernica.Refused, "SYNCD_COPERNICA_API_URL"},
		"413":                    {reply(413, "", ""), nil, fault.Record, copernica.Refused, "too large"},
		"408":                    {reply(408, "", ""), nil, fault.Retry, copernica.Unknown, ""},
		"429":                    {reply(429, "", ""), nil, fault.Retry, copernica.NotSent, ""},
		"500 JSON":               {json(500, "Failed to create profile"), nil, fault.Retry, copernica.Unknown, ""},
		"502 page":               {reply(502, "text/html", "<html>"), nil, fault.Retry, copernica.Unknown, ""},
		"503 page":               {reply(503, "text/html", "<html><title>Loadbalancer Error"), nil, fault.Retry, copernica.Unknown, "HTML page"},
		"504":                    {reply(504, "", ""), nil, fault.Retry, copernica.Unknown, ""},
		"301":                    {withHeader(reply(301, "", ""), "Location", "https://elsewhere/"), nil, fault.Configuration, copernica.Refused, "redirects"},
		"302":                    {withHeader(reply(302, "", ""), "Location", "https://elsewhere/"), nil, fault.Configuration, copernica.Unknown, "redirects"},
		"303 to a log-in page":   {withHeader(reply(303, "", ""), "Location", "https://proxy/login"), nil, fault.Configuration, copernica.Unknown, "redirects"},
		"307":                    {withHeader(reply(307, "", ""), "Location", "https://elsewhere/"), nil, fault.Configuration, copernica.Refused, "redirects"},
		"200 page":               {reply(200, "text/html", "<!DOCTYPE html><p>log in"), nil, fault.Retry, copernica.Unknown, "HTML page"},
		"200 page said JSON":     {reply(200, "application/json", " \n<html>"), nil, fault.Retry, copernica.Unknown, "HTML page"},
		"201 page":               {withHeader(reply(201, "text/html", "<html>"), "X-Created", "5"), nil, fault.Retry, copernica.Unknown, "HTML page"},
		"200 text":               {reply(200, "text/plain", "Notice: undefined index"), nil, fault.Retry, copernica.Unknown, "plain text"},
		"200 cut short":          {reply(200, "application/json", `{"err`), nil, fault.Retry, copernica.Unknown, "cut short"},
		"202":                    {reply(202, "", ""), nil, fault.Retry, copernica.Unknown, ""},
		"100 unexpected":         {reply(299, "", ""), nil, fault.Retry, copernica.Unknown, ""},
		"200":                    {reply(200, "", ""), nil, 0, copernica.Acknowledged, ""},
		"200 JSON type, empty":   {reply(200, "application/json", ""), nil, 0, copernica.Acknowledged, ""},
		"200 object":             {reply(200, "application/json", `{"error":null,"ID":"5"}`), nil, 0, copernica.Acknowledged, ""},
		"200 list":               {reply(200, "application/json", `[]`), nil, 0, copernica.Acknowledged, ""},
		"201":                    {reply(201, "", ""), nil, 0, copernica.Acknowledged, ""},
		"204":                    {reply(204, "", ""), nil, 0, copernica.Acknowledged, ""},
		"303":                    {withHeader(reply(303, "", ""), "Location", "https://api.copernica.com/profile/5?access_token=x"), nil, 0, copernica.Acknowledged, ""},
		"303 without Location":   {reply(303, "", ""), nil, 0, copernica.Acknowledged, ""},
		"reset":                  {nil, errors.New("read: connection reset by peer"), fault.Retry, copernica.Unknown, "reset by peer"},
		"timed out":              {nil, context.DeadlineExceeded, fault.Retry, copernica.Unknown, "no answer in time"},
		"dial refused":           {nil, unsentError{}, fault.Retry, copernica.NotSent, "refused"},
		"body torn":              {&http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: 50, Body: io.NopCloser(io.MultiReader(strings.NewReader("{"), torn{}))}, nil, fault.Retry, copernica.Unknown, "unexpected EOF"},
	}
}

// What writes by id did, and what to do next, by the answer (promises 10 and 20).
func TestPromise20_OutcomeAndClassOfWrites(t *testing.T) {
	t.Parallel()
	writes := map[string]func(*testing.T, *copernica.Database) error{
		"PUT": func(t *testing.T, d *copernica.Database) error {
			t.Helper()
			return d.Update(t.Context(), 5, map[string]string{"email": "jan@example.org"})
		},
		"DELETE": func(t *testing.T, d *copernica.Database) error { t.Helper(); return d.Remove(t.Context(), 5, true) },
	}
	for method, write := range writes {
		for name, tt := range answersToWrites() {
			if method == "DELETE" && strings.HasSuffix(name, "removed") {
				tt.outcome = copernica.Acknowledged
			}
			t.Run(method+" "+name, func(t *testing.T) {
				t.Parallel()
				w := newWire()
				d, _ := open(t, w, newClock().Now)
				w.on("GET /profile/5", func(request) (*http.Response, error) { return jsonReply(200, row(5, nil)), nil })
				w.on(method+" /profile/5", tt.answer)
				err := write(t, d)
				tt.check(t, method, err)
				if n := len(w.sent(method + " /profile/5")); n != 1 && tt.class != fault.Credentials {
					t.Errorf("sent %d times, want once", n)
				}
			})
		}
	}
}

// check compares what a write did with what its answer means.
func (a written) check(t *testing.T, method string, err error) {
	t.Helper()
	if got := copernica.Outcome(err); got != a.outcome {
		t.Errorf("outcome %s, want %s: %v", got, a.outcome, err)
	}
	if a.outcome == copernica.Acknowledged {
		return
	}
	if err == nil {
		t.Fatal("no error")
	}
	if got := fault.ClassOf(err); got != a.class {
		t.Errorf("class %s, want %s: %v", got, a.class, err)
	}
	if !strings.Contains(err.Error(), a.says) {
		t.Errorf("error %q does not say %q", err, a.says)
	}
	if !strings.HasPrefix(err.Error(), "copernica: "+method+" /profile/{id}: ") {
		t.Errorf("error %q does not begin with its route", err)
	}
	if copernica.Outcome(err) == copernica.Refused {
		switch fault.ClassOf(err) {
		case fault.Record, fault.Configuration, fault.Credentials:
		default:
			t.Errorf("refused with class %s", fault.ClassOf(err))
		}
	}
	if a.err != nil && !errors.Is(err, a.err) {
		t.Errorf("error %v does not wrap %v", err, a.err)
	}
}

// A removal whose look does not show a profile of this database removes nothing, and
// never leaves open whether it did (promise 12).
func TestPromise12_RemovalLooksFirst(t *testing.T) {
	t.Parallel()
	looks := answersToWrites()
	foreign, removed := row(5, nil), row(5, nil)
	foreign["database"], removed["removed"] = "8", "2026-01-02 03:04:05"
	looks["another database"] = written{resp: jsonReply(200, foreign), class: fault.Record}
	looks["another profile"] = written{resp: jsonReply(200, row(6, nil)), class: fault.Retry}
	looks["removed before"] = written{resp: jsonReply(200, removed)}
	for name, tt := range looks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, _ := open(t, w, newClock().Now)
			w.on("GET /profile/5", tt.answer)
			err := d.Remove(t.Context(), 5, false)
			switch outcome := copernica.Outcome(err); {
			case name == "removed before" && err != nil, name == "another database" && !errors.Is(err, copernica.ErrNoProfile):
				t.Error(err)
			case name != "removed before" && outcome != copernica.Refused && outcome != copernica.NotSent:
				t.Errorf("outcome %s: %v", outcome, err)
			case tt.class != 0 && fault.ClassOf(err) != tt.class:
				t.Errorf("class %s, want %s: %v", fault.ClassOf(err), tt.class, err)
			}
			if n := len(w.sent("DELETE ")); n > 0 {
				t.Errorf("%d removals sent", n)
			}
		})
	}
}

type torn struct{}

func (torn) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestSentinels(t *testing.T) {
	t.Parallel()
	w := newWire()
	d, _ := open(t, w, newClock().Now)
	w.any = w.always(400, failure("No entity with supplied ID"))
	if _, err := d.Profile(t.Context(), 5); !errors.Is(err, copernica.ErrNoProfile) {
		t.Errorf("profile: %v", err)
	}
	if err := d.Update(t.Context(), 5, map[string]string{"email": "x"}); !errors.Is(err, copernica.ErrNoProfile) {
		t.Errorf("update: %v", err)
	}
	if err := d.Remove(t.Context(), 5, false); !errors.Is(err, copernica.ErrNoProfile) {
		t.Errorf("removal: %v", err)
	}
	w.any = w.always(404, `{"error":{"message":"Not here"}}`)
	if _, err := d.Profile(t.Context(), 5); !errors.Is(err, copernica.ErrNoProfile) {
		t.Errorf("404: %v", err)
	}
	w.on("GET /profile/5", func(request) (*http.Response, error) { return jsonReply(200, row(5, nil)), nil })
	w.any = w.always(400, failure("This profile has already been removed"))
	if err := d.Remove(t.Context(), 5, false); err != nil {
		t.Errorf("second removal: %v", err)
	}
	if err := d.Update(t.Context(), 5, map[string]string{"email": "x"}); copernica.Outcome(err) != copernica.Refused {
		t.Errorf("update of a removed profile: %v", err)
	}
	w.any = w.always(400, failure("No database with supplied ID"))
	if _, err := newClient(t, w, nil).Database(t.Context(), "Magneto"); !errors.Is(err, copernica.ErrNoDatabase) || fault.ClassOf(err) != fault.Configuration {
		t.Errorf("database: %v", err)
	}
}

// A call that is stopped before it is made was not sent; during it, nobody knows.
func TestStoppedCalls(t *testing.T) {
	t.Parallel()
	w := newWire()
	d, _ := open(t, w, newClock().Now)
	ctx, stop := context.WithCancel(t.Context())
	w.on("PUT /profile/5", func(request) (*http.Response, error) { stop(); return nil, ctx.Err() })
	fields := map[string]string{"email": "x"}
	if err := d.Update(ctx, 5, fields); copernica.Outcome(err) != copernica.Unknown || !errors.Is(err, context.Canceled) {
		t.Errorf("stopped during the call: %v, outcome %s", err, copernica.Outcome(err))
	}
	if err := d.Update(ctx, 5, fields); copernica.Outcome(err) != copernica.NotSent || !errors.Is(err, context.Canceled) {
		t.Errorf("stopped before the call: %v, outcome %s", err, copernica.Outcome(err))
	}
	if n := len(w.sent("PUT ")); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

// Texts that nobody knows are reduced to what may be kept (promise 7).
func TestUnknownMessagesAreMasked(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"Field email of profile 18381 is wrong":  "Field email of profile # is wrong",
		"jan.jansen@example.org is blocked":      "<email> is blocked",
		"call jan%40example.org":                 "call <email>",
		"at https://x.nl/?access_token=abc now":  "at <url> now",
		"token 0123456789abcdef0123456789abcdef": "token <long>",
		"tab\tand\nline\x00\x1b[31m\u202eevil":   "tab and line[#mevil",
		strings.Repeat("long ", 100):             strings.Repeat("long ", 40) + "…",
		"مرحبا ٣٤ عالم":                          "مرحبا # عالم",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, _ := open(t, w, newClock().Now)
			w.any = w.always(400, failure(message))
			err := d.Remove(t.Context(), 5, false)
			if e, ok := errors.AsType[*copernica.Error](err); !ok || e.Message != want {
				t.Errorf("error %v, want the message %q", err, want)
			}
		})
	}
}

func ExampleOutcome() {
	fmt.Println(copernica.Outcome(nil), copernica.Outcome(errors.New("connection reset")))
	// Output: acknowledged unknown
}
