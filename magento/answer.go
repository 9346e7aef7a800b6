package magento

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

// hintAgain is for answers that are wrong by themselves and may be right the next time.
const hintAgain = "the next call asks for the same again; if this goes on, the cause stands in the shop's var/log or in the log of the proxy before it"

// maxErrorBody is how much of a refusal is read.
const maxErrorBody = 64 << 10

// answerError decides from status and Content-Type whether an answer is JSON that
// may be parsed, and returns nil then. Any other answer is read and becomes an error.
func answerError(route string, resp *http.Response) *Error {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusOK && (media == "application/json" || media == "") {
		return nil
	}
	e := &Error{Status: resp.StatusCode, Route: route}
	var body []byte
	if r, err := content(resp); err == nil {
		body, _ = io.ReadAll(io.LimitReader(r, maxErrorBody))
	}
	body = bytes.TrimSpace(body)
	start := strings.ToLower(string(body[:min(len(body), 200)]))
	switch {
	case len(body) == 0:
		e.Shape = ShapeEmpty
	case media == "application/json":
		e.Shape = ShapeJSON
		if !e.readJSON(body) {
			e.Shape = ShapeCut
		}
	case media == "application/xml" || media == "text/xml":
		e.Shape = ShapeXML
		e.readXML(body)
	case media == "text/html" || strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html"):
		e.Shape = ShapeHTML
		e.Filled = title(body)
	default:
		e.Shape = ShapeText
	}
	e.classify(resp)
	return e
}

// phrase is Magento's message with its parameters, alone or one of several.
type phrase struct {
	Message    string          `json:"message"`
	Parameters json.RawMessage `json:"parameters"`
}

// readJSON takes in the shapes of Magento's refusals and reports whether body is
// JSON at all. The developer mode's trace is left alone: it holds paths and values.
func (e *Error) readJSON(body []byte) bool {
	var answer struct {
		phrase
		Code     json.RawMessage `json:"code"`
		Errors   []phrase        `json:"errors"`
		Messages struct {
			Error []struct {
				Code    json.RawMessage `json:"code"`
				Message string          `json:"message"`
			} `json:"error"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(body, &answer); err != nil && !json.Valid(body) {
		return false
	}
	e.Message, e.Parameters, e.Code = answer.Message, parameters(answer.Parameters), plain(answer.Code)
	e.Filled = fill(e.Message, e.Parameters)
	for _, one := range answer.Errors {
		p := parameters(one.Parameters)
		e.Filled = strings.TrimSpace(e.Filled + " " + fill(one.Message, p))
	}
	if e.Message == "" && len(answer.Messages.Error) > 0 {
		first := answer.Messages.Error[0]
		e.Message, e.Filled, e.Code = first.Message, first.Message, plain(first.Code)
	}
	return true
}

func (e *Error) readXML(body []byte) {
	var answer struct {
		Message    string `xml:"message"`
		Parameters struct {
			Entries []struct {
				XMLName xml.Name
				Value   string `xml:",chardata"`
			} `xml:",any"`
		} `xml:"parameters"`
	}
	if xml.Unmarshal(body, &answer) != nil {
		return
	}
	e.Message = answer.Message
	for _, p := range answer.Parameters.Entries {
		if e.Parameters == nil {
			e.Parameters = map[string]string{}
		}
		e.Parameters[p.XMLName.Local] = p.Value
	}
	e.Filled = fill(e.Message, e.Parameters)
}

// parameters flattens both forms of parameters: an object by name and a list by
// place, counted from 1 as the message's placeholders are.
func parameters(raw json.RawMessage) map[string]string {
	var byName map[string]json.RawMessage
	if json.Unmarshal(raw, &byName) != nil {
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			return nil
		}
		byName = make(map[string]json.RawMessage, len(list))
		for i, v := range list {
			byName[strconv.Itoa(i+1)] = v
		}
	}
	if len(byName) == 0 {
		return nil
	}
	flat := make(map[string]string, len(byName))
	for name, v := range byName {
		flat[name] = plain(v)
	}
	return flat
}

// plain prints a JSON value as text: strings unquoted, lists joined by commas.
func plain(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		parts := make([]string, len(list))
		for i, v := range list {
			parts[i] = plain(v)
		}
		return strings.Join(parts, ", ")
	}
	return string(raw)
}

// fill replaces %name and %1 by their parameters, the longest name first, as
// Magento's own renderer does.
func fill(message string, parameters map[string]string) string {
	if len(parameters) == 0 {
		return message
	}
	names := slices.SortedFunc(maps.Keys(parameters), func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(names))
	for _, name := range names {
		pairs = append(pairs, "%"+name, parameters[name])
	}
	return strings.NewReplacer(pairs...).Replace(message)
}

// title returns the title of an HTML page, or "".
func title(body []byte) string {
	_, rest, ok := bytes.Cut(body, []byte("<title>"))
	if !ok {
		return ""
	}
	text, _, ok := bytes.Cut(rest, []byte("</title>"))
	if !ok || len(text) > 120 {
		return ""
	}
	return string(bytes.TrimSpace(text))
}

// classify sets class and hint from what was read (promise 20).
func (e *Error) classify(resp *http.Response) {
	html := e.Shape == ShapeHTML
	switch {
	case e.Status == http.StatusUnauthorized:
		e.Class = fault.Credentials
	case e.Status == http.StatusNotFound && html:
		e.Class = fault.Configuration
		e.Hint = "it answers HTML: is SYNCD_MAGENTO_BASE_URL the shop's address?"
	case (e.Status == http.StatusNotFound || e.Status == http.StatusBadRequest) && e.Message == "" && e.Filled == "":
		e.Class = fault.Configuration
		e.Hint = "that is no answer of a Magento: is SYNCD_MAGENTO_BASE_URL the shop's address?"
	case e.Status == http.StatusNotFound && e.missingRecord():
		e.Class, e.notFound = fault.Record, true
	case e.Status == http.StatusNotFound && strings.HasPrefix(e.Message, "Request does not match any route"):
		e.Class = fault.Configuration
		e.Hint = "the shop lacks this part of the REST API: is its Magento module enabled, and is SYNCD_MAGENTO_BASE_URL the address of a Magento 2 shop?"
	case e.Status == http.StatusForbidden:
		e.Class = fault.Configuration
		e.Hint = "a firewall or proxy before the shop refuses the call: let this machine through to /rest"
	case e.Status == http.StatusRequestURITooLong:
		e.Class = fault.Configuration
		e.Hint = "raise the longest URL that the web server or proxy before the shop takes to 8 KiB"
	case e.Status >= 300 && e.Status < 400:
		e.Class = fault.Configuration
		e.Hint = "the shop answers at another address" + elsewhere(resp) + ": set SYNCD_MAGENTO_BASE_URL to it"
	case e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout:
		e.Class = fault.Retry
	case e.Status == http.StatusServiceUnavailable && html:
		e.Class = fault.Retry
		e.Hint = "the shop is in maintenance or overloaded"
	case e.Status == http.StatusInternalServerError && strings.HasSuffix(e.Route, " customers/search") && strings.HasPrefix(e.Message, "Internal Error"):
		e.Class = fault.Retry
		e.Hint = "the cause stands in the shop's var/log/exception.log; Magento 2.4.0 to 2.4.2 answer so when a customer on the page has two rows in newsletter_subscriber: update the shop, or leave one of them"
	case e.Status >= 500:
		e.Class = fault.Retry
		e.Hint = "the cause stands in the shop's var/log or its web server's error log"
	case html:
		e.Class = fault.Retry
		e.Hint = "it answers HTML where JSON is due: is SYNCD_MAGENTO_BASE_URL the shop's address?"
	case e.Status == http.StatusBadRequest, e.Status == http.StatusMethodNotAllowed:
		// The calls made here differ only in ids and times, so such a refusal is
		// about the shop's set-up and the same for every record.
		e.Class = fault.Configuration
		e.Hint = "the shop refuses this call for every record: look for a module or proxy that changes /rest, and for an attribute in the mapping that it lacks"
	default:
		e.Class = fault.Retry
	}
	if e.Filled == "" && e.Message == "" {
		switch e.Shape {
		case ShapeEmpty:
			e.Filled = "an empty answer"
		case ShapeCut:
			e.Filled = "JSON cut short"
		case ShapeText:
			e.Filled = "plain text where JSON is due"
		case ShapeXML:
			e.Filled = "XML where JSON is due"
		}
	}
}

// missingRecord recognises Magento's own 404 about an entity. The message may be
// translated by a language pack; its parameters are not. The message about an order
// has none (recording error-404-order-id).
func (e *Error) missingRecord() bool {
	if e.Shape != ShapeJSON {
		return false
	}
	return strings.HasPrefix(e.Message, "No such entity") || strings.HasPrefix(e.Message, "The entity that was requested doesn't exist.") || e.Parameters["fieldName"] != "" && e.Parameters["fieldValue"] != ""
}

// elsewhere names where a redirect points to, without path and query.
func elsewhere(resp *http.Response) string {
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Host == "" {
		return ""
	}
	return ", " + u.Scheme + "://" + u.Host
}

// transportError types a call without an answer. Our own cancellation stays what it is.
func transportError(ctx context.Context, route string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e := &Error{Route: route, Class: fault.ClassOf(err), Err: err}
	if call, ok := errors.AsType[*httpx.Error](err); ok && (call.Kind == httpx.KindDial || call.Kind == httpx.KindUnknownHost) {
		e.Hint = "check SYNCD_MAGENTO_BASE_URL, and that this machine can reach the shop"
	}
	return e
}

// bodyError types an answer whose body broke off or is no JSON.
func bodyError(ctx context.Context, route string, resp *http.Response, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &Error{Status: resp.StatusCode, Route: route, Class: fault.ClassOf(err), Shape: ShapeCut, Filled: "the answer breaks off", Hint: hintAgain, Err: err}
}
