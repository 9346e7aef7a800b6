package magento

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The types below read what PHP prints where a type is loose: "12" or 12.0 for 12,
// 0 and 1 for false and true, [] for {}, null for anything. Their errors hold no
// value, because errors are logged.

var errKind = errors.New("a value of an unexpected kind")

// integer is a whole number, printed as a number or as text; "" and null are 0.
type integer int64

func (i *integer) UnmarshalJSON(b []byte) error {
	b = unquote(b)
	if len(b) == 0 || string(b) == "null" || string(b) == "false" {
		*i = 0
		return nil
	}
	if string(b) == "true" {
		*i = 1
		return nil
	}
	if whole, fraction, ok := bytes.Cut(b, []byte{'.'}); ok && len(bytes.Trim(fraction, "0")) == 0 {
		b = whole
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return errKind
	}
	*i = integer(n)
	return nil
}

// boolean is true, 1 or "1" against false, 0, "0", "" and null.
type boolean bool

func (v *boolean) UnmarshalJSON(b []byte) error {
	switch string(unquote(b)) {
	case "true", "1":
		*v = true
	case "false", "0", "", "null":
		*v = false
	default:
		return errKind
	}
	return nil
}

// text is a string; numbers are kept as printed, null is "" and so is the empty
// array that PHP prints for an empty attribute. A list is joined by commas.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) >= 2 && b[0] == '"':
		if bytes.IndexByte(b, '\\') < 0 {
			*t = text(b[1 : len(b)-1])
			return nil
		}
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return errKind
		}
		*t = text(s)
	case string(b) == "null":
		*t = ""
	case b[0] == '[':
		var list []text
		if json.Unmarshal(b, &list) != nil {
			return errKind
		}
		parts := make([]string, len(list))
		for i, one := range list {
			parts[i] = string(one)
		}
		*t = text(strings.Join(parts, ","))
	case b[0] == '{':
		return errKind
	default:
		*t = text(b)
	}
	return nil
}

// moment is a time as Magento prints it: UTC, whole seconds, no zone mark. Empty,
// null and MySQL's zero date are the zero time.
type moment time.Time

func (m *moment) UnmarshalJSON(b []byte) error {
	b = unquote(b)
	if len(b) == 0 || string(b) == "null" || bytes.HasPrefix(b, []byte("0000-00-00")) {
		*m = moment{}
		return nil
	}
	t, err := time.Parse(time.DateTime, string(b))
	if err != nil {
		return errKind
	}
	*m = moment(t)
	return nil
}

// unquote strips quotes. Texts that need escapes are not numbers or times, and are
// refused by whoever parses the rest.
func unquote(b []byte) []byte {
	if len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' {
		return b[1 : len(b)-1]
	}
	return b
}

// attributes are custom_attributes: a list of code and value, or an object of them
// when PHP's keys have gaps.
type attributes map[string]string

func (a *attributes) UnmarshalJSON(b []byte) error {
	type attribute struct {
		Code  text `json:"attribute_code"`
		Value text `json:"value"`
	}
	var list []attribute
	switch b[0] {
	case '[':
		if json.Unmarshal(b, &list) != nil {
			return errKind
		}
	case '{':
		var gaps map[string]attribute
		if json.Unmarshal(b, &gaps) != nil {
			return errKind
		}
		for _, one := range gaps {
			list = append(list, one)
		}
	default:
		if string(b) != "null" {
			return errKind
		}
	}
	*a = nil
	if len(list) == 0 {
		return nil
	}
	*a = make(attributes, len(list))
	for _, one := range list {
		(*a)[string(one.Code)] = string(one.Value)
	}
	return nil
}

// place finds the id, under idName, and updated_at in a record that cannot be decoded, and the first
// field that holds bytes which are not UTF-8. It reads as far as the JSON is sound.
func place(raw []byte, idName string) (id int64, at time.Time, field string) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return 0, time.Time{}, ""
	}
	for {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return id, at, field
		}
		var path []json.Delim
		for first := true; first || len(path) > 0; first = false {
			t, err := d.Token()
			if err != nil {
				return id, at, field
			}
			switch v := t.(type) {
			case json.Delim:
				if v == '{' || v == '[' {
					path = append(path, v)
				} else {
					path = slices.Delete(path, len(path)-1, len(path))
				}
			case json.Number:
				if name == idName && len(path) == 0 {
					id, _ = v.Int64()
				}
			case string:
				if field == "" && strings.ContainsRune(v, utf8.RuneError) {
					field = name
				}
				if name == idName && len(path) == 0 {
					id, _ = strconv.ParseInt(v, 10, 64)
				}
				if name == "updated_at" && len(path) == 0 {
					at, _ = time.Parse(time.DateTime, v)
				}
			}
		}
	}
}
