// Package recording reads recorded exchanges with a real shop, for tests.
//
// The files lie in testdata/recordings; the README there says where they come
// from and what was changed in them.
package recording

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Exchange is one request and its answer.
type Exchange struct {
	Name string // the file's name without .txt
	Note string // what the recorder remarked

	Method        string
	Target        string // path and query as sent
	RequestHeader http.Header
	RequestBody   []byte

	Status int
	Header http.Header
	Body   []byte // JSON is pretty and unescaped: see [PHPEscape]
	Cut    bool   // the recorder kept only the beginning of the body
}

// Load reads every exchange of a folder, ordered by name. Files that hold no
// exchange are passed over.
func Load(folder fs.FS) ([]Exchange, error) {
	names, err := fs.Glob(folder, "*.txt")
	if err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	var all []Exchange
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, fmt.Errorf("recordings: %w", err)
		}
		if !bytes.Contains(text, []byte("# request")) {
			continue
		}
		e, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("recording %s: %w", name, err)
		}
		e.Name = strings.TrimSuffix(name, ".txt")
		all = append(all, e)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("recordings: the folder holds none")
	}
	return all, nil
}

// parse reads one file.
func parse(text []byte) (Exchange, error) {
	var e Exchange
	asked, answered, ok := strings.Cut(string(text), "\n# response\n")
	if !ok {
		return e, fmt.Errorf("no response")
	}
	before, asked, _ := strings.Cut(asked, "# request")
	e.Note = strings.TrimSpace(strings.TrimPrefix(before, "# note:"))
	_, asked, _ = strings.Cut(asked, "\n")

	line, header, body := message(asked)
	e.Method, line, _ = strings.Cut(line, " ")
	e.Target = strings.TrimSuffix(line, " HTTP/1.1")
	e.RequestHeader, e.RequestBody = header, []byte(body)

	line, header, body = message(answered)
	_, line, _ = strings.Cut(line, " ")
	status, _, _ := strings.Cut(line, " ")
	var err error
	if e.Status, err = strconv.Atoi(status); err != nil {
		return e, fmt.Errorf("status line: %w", err)
	}
	if strings.HasPrefix(body, "# (body was gzip") {
		_, body, _ = strings.Cut(body, "\n")
	}
	if kept, _, cut := strings.Cut(body, "\n# ... recording cut here"); cut {
		body, e.Cut = kept, true
	}
	e.Header, e.Body = header, []byte(body)
	return e, nil
}

// message splits a request or an answer into first line, header and body. The
// newline that ends the file is not part of the body.
func message(text string) (first string, header http.Header, body string) {
	head, body, _ := strings.Cut(text, "\n\n")
	first, fields, _ := strings.Cut(head, "\n")
	header = http.Header{}
	for line := range strings.Lines(fields) {
		name, value, _ := strings.Cut(line, ":")
		header.Add(name, strings.TrimSpace(value))
	}
	return first, header, strings.TrimSuffix(body, "\n")
}

// PHPEscape prints a pretty JSON body as PHP's json_encode does: one line, ASCII,
// with \uXXXX for everything beyond and \/ for a slash. It works on text, so a cut
// body stays cut.
func PHPEscape(body []byte) []byte {
	out := make([]byte, 0, len(body))
	inString := false
	for len(body) > 0 {
		r, size := utf8.DecodeRune(body)
		switch {
		case !inString && strings.ContainsRune(" \t\r\n", r):
		case inString && r == '\\' && len(body) > 1:
			out, size = append(out, body[:2]...), 2
		case inString && r == '/':
			out = append(out, `\/`...)
		case inString && r >= utf8.RuneSelf:
			out = appendEscape(out, r)
		default:
			inString = inString != (r == '"')
			out = append(out, body[:size]...)
		}
		body = body[size:]
	}
	return out
}

func appendEscape(out []byte, r rune) []byte {
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return fmt.Appendf(out, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(out, `\u%04x`, r)
}
