package magento

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
)

const (
	// maxItem bounds one record's JSON. A full customer is about 1 KiB.
	maxItem = 1 << 20
	// maxShort is the longest text kept of a record that is over maxItem: enough for
	// an id and a time.
	maxShort = 64
)

var errNotJSON = errors.New("it is broken JSON")

// frames splits a JSON stream into its members and elements without holding more
// than one of them, and never more than twice maxItem of it. It looks at quotes and
// brackets only; whether a frame is valid JSON is for encoding/json to say. So one
// broken or huge record costs that record and not its page, which a json.Decoder
// cannot do: it stops for good at a syntax error and buffers every value whole.
type frames struct {
	r   *bufio.Reader
	buf []byte // the last frame; reused
}

func newFrames(r io.Reader) *frames {
	return &frames{r: bufio.NewReaderSize(r, 32<<10)}
}

// peek returns the next byte that is not white space, without taking it, and io.EOF
// at a clean end.
func (f *frames) peek() (byte, error) {
	for {
		b, err := f.r.ReadByte()
		if err != nil {
			return 0, err
		}
		if b != ' ' && b != '\n' && b != '\t' && b != '\r' {
			return b, f.r.UnreadByte()
		}
	}
}

// take takes one byte after white space and reports whether it was want; if not, it
// stays.
func (f *frames) take(want byte) (bool, error) {
	b, err := f.peek()
	if err != nil || b != want {
		return false, cut(err)
	}
	_, err = f.r.Discard(1)
	return true, err
}

// object calls member after each name of an object; member takes the value.
func (f *frames) object(member func(name string) error) error {
	return f.sequence('{', '}', func() error {
		raw, size, err := f.value()
		if err != nil {
			return err
		}
		var name string
		if size > maxItem || json.Unmarshal(raw, &name) != nil {
			return errNotJSON
		}
		if ok, err := f.take(':'); !ok {
			return orNotJSON(err)
		}
		return member(name)
	})
}

// array calls element before each element of an array; element takes it.
func (f *frames) array(element func() error) error {
	return f.sequence('[', ']', element)
}

func (f *frames) sequence(opening, closing byte, each func() error) error {
	if ok, err := f.take(opening); !ok {
		return orNotJSON(err)
	}
	if ok, err := f.take(closing); ok || err != nil {
		return err
	}
	for {
		if err := each(); err != nil {
			return err
		}
		if ok, err := f.take(','); err != nil {
			return err
		} else if ok {
			continue
		}
		if ok, err := f.take(closing); !ok {
			return orNotJSON(err)
		}
		return nil
	}
}

// end makes sure that nothing but white space follows: PHP prints its warnings there.
func (f *frames) end() error {
	_, err := f.peek()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return orNotJSON(err)
}

// value takes one value and returns its bytes, good until the next call, and its
// true size. Of a value over maxItem the long texts are emptied, so that its id and
// time can still be found.
func (f *frames) value() (raw []byte, size int64, err error) {
	first, err := f.peek()
	if err != nil {
		return nil, 0, cut(err)
	}
	f.buf = f.buf[:0]
	if first != '{' && first != '[' && first != '"' {
		return f.literal()
	}
	var s scan
	for !s.done {
		if f.r.Buffered() == 0 {
			if _, err := f.r.Peek(1); err != nil {
				return nil, 0, cut(err)
			}
		}
		chunk, _ := f.r.Peek(f.r.Buffered())
		n := f.scan(&s, chunk)
		size += int64(n)
		if _, err := f.r.Discard(n); err != nil {
			return nil, 0, cut(err)
		}
	}
	return f.buf, size, nil
}

// scan is where in a value the last byte was.
type scan struct {
	depth             int
	inString, escaped bool
	text              int  // where in buf the current string's text starts
	dropping          bool // the rest of the current string is not kept
	done              bool
}

// scan takes bytes of chunk up to the end of the value and returns how many.
func (f *frames) scan(s *scan, chunk []byte) int {
	if room := maxItem - len(f.buf); room > 0 {
		chunk = chunk[:min(room, len(chunk))]
		kept := len(f.buf)
		n := 0
		for n < len(chunk) && !s.done {
			if s.step(chunk[n]) {
				s.text = kept + n + 1
			}
			n++
		}
		f.buf = append(f.buf, chunk[:n]...)
		return n
	}
	n := 0
	for n < len(chunk) && !s.done {
		within := s.inString
		if s.step(chunk[n]) {
			s.text, s.dropping = len(f.buf)+1, false
		}
		if within && s.inString {
			if !s.dropping && len(f.buf)-s.text >= maxShort {
				f.buf, s.dropping = f.buf[:s.text], true
			}
			if s.dropping {
				n++
				continue
			}
		}
		// Past twice the limit only the start is kept; it is not valid JSON then.
		if len(f.buf) < 2*maxItem {
			f.buf = append(f.buf, chunk[n])
		}
		n++
	}
	return n
}

// step moves over one byte and reports whether it opened a string.
func (s *scan) step(b byte) (opened bool) {
	switch {
	case s.escaped:
		s.escaped = false
	case s.inString:
		switch b {
		case '\\':
			s.escaped = true
		case '"':
			s.inString = false
			s.done = s.depth == 0
		}
	case b == '"':
		s.inString = true
		return true
	case b == '{' || b == '[':
		s.depth++
	case b == '}' || b == ']':
		s.depth--
		s.done = s.depth <= 0
	}
	return false
}

// literal takes a number, true, false or null.
func (f *frames) literal() ([]byte, int64, error) {
	for {
		b, err := f.r.ReadByte()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
		if err != nil {
			break
		}
		if b == ',' || b == '}' || b == ']' || b == ':' || b <= ' ' {
			if err := f.r.UnreadByte(); err != nil {
				return nil, 0, err
			}
			break
		}
		if len(f.buf) >= maxShort {
			return nil, 0, errNotJSON
		}
		f.buf = append(f.buf, b)
	}
	if len(f.buf) == 0 {
		return nil, 0, errNotJSON
	}
	return f.buf, int64(len(f.buf)), nil
}

// cut names an end where more is due.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func orNotJSON(err error) error {
	if err == nil {
		return errNotJSON
	}
	return err
}
