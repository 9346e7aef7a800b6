package copernica

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

var (
	// ErrNoDatabase says that the account has no database of that name or id.
	ErrNoDatabase = errors.New("the account has no such database: set SYNCD_COPERNICA_DATABASE to one that it has, or create it with `syncd provision --create-database`")
	// ErrNoProfile says that the database has no profile with that id.
	ErrNoProfile = errors.New("no such profile")
	// ErrNoSubprofile says that the collection has no subprofile with that id.
	ErrNoSubprofile = errors.New("no such subprofile")
	// ErrTokenRevoked says that Copernica does not know the access token: it was revoked,
	// or was never one of its own, which nothing tells apart.
	ErrTokenRevoked = errors.New("the access token was revoked, or was never one of Copernica's")
	// ErrNoList says that this account, or its token, has no right to a list of
	// unsubscribes, or that its version of the API has none.
	ErrNoList = errors.New("no such list")
	// ErrNoDestinations says that this account, or its token, has no right to the
	// destinations of mailings, which alone tell whose some entries of a list are.
	ErrNoDestinations = errors.New("no right to destinations")
	// errNoCollection says that a collection of the schema is there no longer.
	errNoCollection = errors.New("no such collection")
	// errNotCreated says that a subprofile was refused without a reason.
	errNotCreated = errors.New("not created")
	// errRemoved says that a removal had nothing left to do.
	errRemoved = errors.New("already removed")
)

const (
	// whereTokens is what an operator does about a refused token.
	whereTokens = "make an API access token for REST in the Copernica dashboard " +
		"(Configuration > Account > API access-tokens) and set SYNCD_COPERNICA_ACCESS_TOKEN"
	// whereConnect is the same for a token that came by OAuth.
	whereConnect = "run `syncd connect copernica` again"
)

// Error is an answer of Copernica that is no success.
type Error struct {
	// Status is the HTTP status; it can be a 2xx with an error in its body, and is 0
	// when an earlier answer kept the call from being made.
	Status int
	// Message is a message from Copernica's known ones, or what remains of an
	// unknown one without anything that could be data: printable, digits, e-mails
	// and long words masked, at most 200 characters.
	Message string
	// Route is the call as "PUT /profile/{id}", the same for all ids.
	Route string
	// Class says what to do next.
	Class fault.Class

	fix     string
	cause   error // a sentinel of this package
	refused bool  // Copernica worked on the call and left everything as it was
	said    bool  // Copernica gave a message
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "copernica: %s: ", e.Route)
	if e.Status != 0 {
		fmt.Fprintf(&b, "%d ", e.Status)
	}
	b.WriteString(e.Message)
	if e.fix != "" {
		b.WriteString(": " + e.fix)
	}
	return b.String()
}

// Unwrap returns ErrNoDatabase, ErrNoProfile, ErrNoSubprofile, ErrNoList,
// ErrNoDestinations or ErrTokenRevoked where they apply.
func (e *Error) Unwrap() error { return e.cause }

// FaultClass implements [fault.Classified].
func (e *Error) FaultClass() fault.Class { return e.Class }

// NotSent implements [fault.Unsent]: a call turned away with 429 was never worked on,
// one without a status never made.
func (e *Error) NotSent() bool { return e.Status == http.StatusTooManyRequests || e.Status == 0 }

// GuardError is a write that this package refused to send, since it could have
// touched other rows than the intended one, or lost a value (promise 12). Nothing
// was sent.
type GuardError struct {
	// Database is the name of the database, Collection that of its collection in
	// question and Field that of the field; each is empty where there is none.
	Database, Collection, Field string
	// Reason says what is wrong and what to do. It holds no values.
	Reason string
	// Class is Configuration, or Record when only the given value is unfit.
	Class fault.Class
}

func (e *GuardError) Error() string {
	where := fmt.Sprintf("copernica: database %q", e.Database)
	if e.Collection != "" {
		where += fmt.Sprintf(", collection %q", e.Collection)
	}
	if e.Field != "" {
		where += fmt.Sprintf(", field %q", e.Field)
	}
	return where + ": nothing sent: " + e.Reason
}

// FaultClass implements [fault.Classified].
func (e *GuardError) FaultClass() fault.Class { return e.Class }

// NotSent implements [fault.Unsent].
func (e *GuardError) NotSent() bool { return true }

// unsent marks an error that came up before the call itself was made. The class
// is that of the error within.
type unsent struct{ error }

func (e unsent) Unwrap() error { return e.error }
func (e unsent) NotSent() bool { return true }

// callError is a call that brought no answer. Its text names no URL; the class and
// the proof that nothing was sent come from the transport's own error within.
type callError struct {
	route, text string
	err         error
}

func (e *callError) Error() string { return "copernica: " + e.route + ": " + e.text }
func (e *callError) Unwrap() error { return e.err }

// OutcomeKind is what a write did at Copernica (promise 10). What to do next is
// another question, which [fault.ClassOf] answers.
type OutcomeKind uint8

const (
	// Unknown means that the write may or may not have been applied: look before
	// writing again.
	Unknown OutcomeKind = iota
	// Acknowledged means that Copernica said yes.
	Acknowledged
	// Refused means that Copernica said no and applied nothing.
	Refused
	// NotSent means that the write provably never reached Copernica, or was turned
	// away before it was looked at. It can be sent again as it is.
	NotSent
)

// String returns the word used in logs and metrics.
func (k OutcomeKind) String() string {
	switch k {
	case Acknowledged:
		return "acknowledged"
	case Refused:
		return "refused"
	case NotSent:
		return "not_sent"
	default:
		return "unknown"
	}
}

// Outcome returns what the write that returned err did. Refused errors have class
// Record, Configuration or Credentials; a GuardError is NotSent.
func Outcome(err error) OutcomeKind {
	if err == nil {
		return Acknowledged
	}
	if fault.NotSent(err) {
		return NotSent
	}
	if e, ok := errors.AsType[*Error](err); ok && e.refused {
		return Refused
	}
	return Unknown
}

// known is the meaning of a documented message.
type known struct {
	class fault.Class
	cause error
	fix   string
}

const (
	fixURL    = "is SYNCD_COPERNICA_API_URL the address of the REST API, as https://api.copernica.com/v4?"
	fixSchema = "the fields of the database changed: rename back in Copernica what was renamed there, run syncd provision for what was removed, then start again"
)

// messages are those of copernica-rest.md section 9, lower case, numbers masked
// as mask leaves them.
var messages = map[string]known{
	"invalid access token": {class: fault.Renew},
	"invalid method":       {class: fault.Configuration, fix: fixURL},
	"invalid request, element # is missing in 'directory' path": {class: fault.Configuration, fix: fixURL},
	"no database with supplied id": {
		class: fault.Configuration, cause: ErrNoDatabase,
		fix: "set SYNCD_COPERNICA_DATABASE to a database of this account, or create it with `syncd provision --create-database`",
	},
	"no collection with given id":              {class: fault.Configuration, cause: errNoCollection, fix: "a collection is missing: run syncd provision"},
	"no entity with supplied id":               {class: fault.Record, cause: ErrNoProfile},
	"no subprofile with supplied id":           {class: fault.Record, cause: ErrNoSubprofile},
	"invalid data provided":                    {class: fault.Record},
	"failed to create profile":                 {class: fault.Record, fix: "Copernica takes no profile with these values and gives no reason; restrictions of the database and blocked mail domains are known ones"},
	"subprofile could not be created":          {class: fault.Record, cause: errNotCreated, fix: "Copernica takes no subprofile with these values under this profile and gives no reason"},
	"this profile has already been removed":    {class: fault.Record, cause: errRemoved},
	"this subprofile has already been removed": {class: fault.Record, cause: errRemoved},
	"url parameter fields is required":         {class: fault.Configuration, fix: fixSchema},
	"no field id supplied for the field":       {class: fault.Configuration, fix: fixSchema},
	"failed to get the field":                  {class: fault.Configuration, fix: fixSchema},
}

// spelled returns the entry of a message, which may end in a full stop.
func spelled(message string) (known, bool) {
	k, ok := messages[strings.ToLower(strings.TrimRight(maskDigits(strings.TrimSpace(message)), ". "))]
	return k, ok
}

// refusal types an answer that is no success. message is Copernica's own, or "" when
// the body held none, and then shape says what it was.
func (c *Client) refusal(route string, status int, message string, shape bodyShape) *Error {
	e := &Error{Status: status, Route: route, Class: fault.Retry, said: message != ""}
	k, isKnown := spelled(message)
	switch {
	case isKnown:
		e.Message = maskDigits(strings.TrimSpace(message))
	case message != "":
		e.Message = c.tokens.mask(message)
	default:
		e.Message = shape.String()
	}
	switch {
	case status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests:
		// Nobody looked at the record; what the text says does not count.
	case isKnown:
		e.Class, e.cause, e.fix = k.class, k.cause, k.fix
		e.refused = true
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		e.Class = fault.Renew
		e.refused = true
	case status == http.StatusRequestEntityTooLarge || status == http.StatusRequestURITooLong:
		e.Class, e.fix = fault.Record, "the record is too large"
		e.refused = true
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusGone:
		e.Class, e.fix = fault.Configuration, fixURL
		e.refused = true
		if status == http.StatusNotFound && shape == shapeJSON {
			switch {
			case strings.Contains(route, "/profile/{id}"):
				e.Class, e.cause, e.fix = fault.Record, ErrNoProfile, ""
			case strings.Contains(route, "/subprofile/{id}"):
				e.Class, e.cause, e.fix = fault.Record, ErrNoSubprofile, ""
			}
		}
	case status >= 300 && status < 400:
		// 302 answered a create in 2014, so it proves nothing about a write.
		e.Class, e.fix = fault.Configuration, "redirects are not followed: "+fixURL
		e.refused = status != http.StatusFound && status != http.StatusSeeOther
	}
	return e
}

// whyUnanswered describes a transport error without its URL. The chain's own
// errors name peer and path first, which the caller's text does better.
func whyUnanswered(err error) string {
	if e, ok := errors.AsType[*httpx.Error](err); ok {
		return strings.TrimPrefix(e.Error(), e.Peer+": "+e.Method+" "+e.Path+": ")
	}
	if e, ok := errors.AsType[*httpx.BodyTooLargeError](err); ok {
		return strings.TrimPrefix(e.Error(), e.Peer+": "+e.Method+" "+e.Path+": ")
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	default:
		return err.Error()
	}
}
