package magento

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

// ErrNotFound is Magento's own word that a record does not exist. A 404 of
// anything else (a proxy, a wrong address, a missing route) never matches it.
var ErrNotFound = errors.New("no such record in the shop")

// Shape says what kind of answer an [Error] came from.
type Shape string

// The shapes of answers seen from Magento and what stands before it.
const (
	ShapeNone  Shape = ""      // no answer at all, or no call
	ShapeJSON  Shape = "json"  // Magento's own
	ShapeXML   Shape = "xml"   // Magento's own, for another Accept
	ShapeHTML  Shape = "html"  // maintenance, a proxy, a firewall or a wrong address
	ShapeText  Shape = "text"  // anything else that is readable
	ShapeEmpty Shape = "empty" // no body
	ShapeCut   Shape = "cut"   // JSON that ends early or is broken
)

// Error is any failure of a call to the shop.
type Error struct {
	Status int // HTTP status; 0 when there was no answer
	// Message is the shop's message as sent, its placeholders unfilled: the form
	// that may be stored and grouped.
	Message string
	// Filled is Message with its parameters filled in, or what we have to say
	// ourselves. For display only: it can hold a value from a record.
	Filled string
	// Parameters are the message's parameters by name, listed ones by "1", "2", ….
	Parameters map[string]string
	Code       string // the shop's error code, mostly empty
	Route      string // such as "GET customers/{id}", without any value
	Class      fault.Class
	Shape      Shape
	Hint       string // what the operator can do
	Err        error  // the cause, such as a transport's error; may be nil

	notFound bool
}

// Error returns one line without tokens, query strings or e-mail addresses.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("magento")
	if e.Route != "" {
		b.WriteString(" " + e.Route)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ": status %d", e.Status)
	}
	switch {
	case e.Filled != "":
		b.WriteString(": " + e.Filled)
	case e.Message != "":
		b.WriteString(": " + e.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + cause(e.Err))
	}
	if e.Hint != "" {
		return presentable(strings.TrimRight(b.String(), ".") + ": " + e.Hint)
	}
	return presentable(b.String())
}

// cause is the text of err without the peer and call that the transport's own
// errors begin with: the line names both already.
func cause(err error) string {
	text := err.Error()
	if call, ok := errors.AsType[*httpx.Error](err); ok {
		text = strings.TrimPrefix(text, call.Peer+": "+call.Method+" "+call.Path+": ")
	}
	return strings.TrimPrefix(text, "magento: ")
}

// FaultClass implements fault.Classified.
func (e *Error) FaultClass() fault.Class { return e.Class }

// NotSent implements fault.Unsent: a 429 was refused before any work.
func (e *Error) NotSent() bool { return e.Status == 429 || fault.NotSent(e.Err) }

// Is matches [ErrNotFound].
func (e *Error) Is(target error) bool { return target == ErrNotFound && e.notFound }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Causes of a [RecordError].
const (
	CauseInvalidUTF8 = "invalid_utf8"
	CauseMalformed   = "malformed"
	CauseTooLarge    = "too_large"
	// CausePoison is of a record over which the shop itself fails, alone and in any page.
	CausePoison = "poison"
)

// RecordError says that one record cannot be read although others can.
type RecordError struct {
	ID    int64
	Cause string // one of the Cause constants
	Size  int64  // bytes of the record's JSON
	Field string // the field at fault, where known
	// Answer is what the shop failed with over a poisoned record, placeholders unfilled.
	Answer string
}

// Error says what to do in the shop; it holds nothing of the record but its id.
func (e *RecordError) Error() string {
	field := ""
	if e.Field != "" {
		field = fmt.Sprintf(" (field %s)", e.Field)
	}
	switch e.Cause {
	case CauseInvalidUTF8:
		return fmt.Sprintf("record %d holds bytes that are not UTF-8%s: correct its texts in the shop and save it", e.ID, field)
	case CauseTooLarge:
		return fmt.Sprintf("record %d is %d bytes large, more than the %d that are read%s: shorten its texts in the shop and save it", e.ID, e.Size, maxItem, field)
	case CausePoison:
		return presentable(fmt.Sprintf("the shop fails whenever it is to show record %d (%s): its var/log and var/report say why", e.ID, e.Answer))
	default:
		return fmt.Sprintf("record %d has a value of an unexpected kind%s: correct it in the shop and save it", e.ID, field)
	}
}

// FaultClass implements fault.Classified.
func (e *RecordError) FaultClass() fault.Class { return fault.Record }

func configurationError(text string) *Error {
	return &Error{Class: fault.Configuration, Filled: text}
}

// maxErrorText bounds an error's line, in bytes: shops put whole documents into messages.
const maxErrorText = 600

var emailLike = regexp.MustCompile(`[^\s"'<>(),;:=/]+@[^\s"'<>(),;:=/]+`)

// presentable masks e-mail addresses, joins lines and bounds the length.
func presentable(s string) string {
	s = emailLike.ReplaceAllString(s, "***@***")
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if len(s) > maxErrorText {
		s = strings.ToValidUTF8(s[:maxErrorText], "") + "…"
	}
	return s
}
