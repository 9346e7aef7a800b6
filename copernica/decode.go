package copernica

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The types of this file accept what PHP makes of a value on its way to JSON:
// "12" for 12, false for an absent date, [] for {} (copernica-behaviours 15).

// phpInt is an integer, also as a string; false, null and "" are 0.
type phpInt int64

func (n *phpInt) UnmarshalJSON(b []byte) error {
	s := strings.TrimSpace(unquoted(b))
	switch s {
	case "", "null", "false":
		*n = 0
		return nil
	case "true":
		*n = 1
		return nil
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return errors.New("no whole number where one is due")
	}
	*n = phpInt(v)
	return nil
}

// phpString is any scalar as text; false and null are "".
type phpString string

func (s *phpString) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) == 0 || string(b) == "null" || string(b) == "false":
		*s = ""
	case string(b) == "true":
		*s = "1"
	case b[0] == '"':
		var v string
		if err := json.Unmarshal(b, &v); err != nil {
			return err
		}
		*s = phpString(v)
	case b[0] == '[' || b[0] == '{':
		*s = "" // an empty PHP array stands for no value
	default:
		*s = phpString(b)
	}
	return nil
}

// phpBool is a flag, also as 0, 1, "0", "1", "true" or "yes".
type phpBool bool

func (v *phpBool) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(unquoted(b)) {
	case "", "null", "false", "0", "no":
		*v = false
	default:
		*v = true
	}
	return nil
}

// phpRemoved is false, or the moment of removal.
type phpRemoved bool

func (v *phpRemoved) UnmarshalJSON(b []byte) error {
	switch s := strings.ToLower(strings.TrimSpace(unquoted(b))); s {
	case "", "null", "false", "0", "no", "[]":
		*v = false
	default:
		*v = phpRemoved(!strings.HasPrefix(s, "0000-00-00"))
	}
	return nil
}

// phpMap is an object of texts, or [] when it is empty.
type phpMap map[string]string

func (m *phpMap) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] != '{' {
		if b[0] == '[' && len(bytes.Trim(b, "[] \t\r\n")) > 0 {
			return errors.New("a list where named values are due")
		}
		*m = phpMap{}
		return nil
	}
	var values map[string]phpString
	if err := json.Unmarshal(b, &values); err != nil {
		return err
	}
	*m = make(phpMap, len(values))
	for name, v := range values {
		(*m)[name] = string(v)
	}
	return nil
}

// phpList is a list, or the object that PHP makes of an array with gaps.
type phpList[T any] []T

func (l *phpList[T]) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		dec := json.NewDecoder(bytes.NewReader(b))
		if _, err := dec.Token(); err != nil {
			return err
		}
		for dec.More() {
			if _, err := dec.Token(); err != nil { // the index
				return err
			}
			var v T
			if err := dec.Decode(&v); err != nil {
				return err
			}
			*l = append(*l, v)
		}
		return nil
	}
	if string(b) == "null" || string(b) == "false" {
		return nil
	}
	return json.Unmarshal(b, (*[]T)(l))
}

// page is the envelope of every list.
type page[T any] struct {
	Start phpInt
	Limit *phpInt
	Count *phpInt
	Total *phpInt
	Data  *phpList[T]
}

func (p *page[T]) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		p.Data = new(phpList[T])
		return json.Unmarshal(b, p.Data)
	}
	type plain page[T]
	return json.Unmarshal(b, (*plain)(p))
}

// whole reports whether the page is proved to be the entire list.
func (p page[T]) whole() bool {
	return p.Data != nil && p.Total != nil && int(*p.Total) == len(*p.Data)
}

// rows returns the data of a page, or an error when the answer is no list.
func (p page[T]) rows() ([]T, error) {
	if p.Data == nil {
		return nil, errors.New("no list where one is due")
	}
	if p.Count != nil && int(*p.Count) != len(*p.Data) {
		return nil, fmt.Errorf("a list of %d rows that announces %d", len(*p.Data), *p.Count)
	}
	return *p.Data, nil
}

// short reports whether fewer rows came than were asked for, which is the end of a
// list when no total is given. Only a limit that makes sense counts.
func (p page[T]) short(asked int) bool {
	limit := asked
	if p.Limit != nil && *p.Limit > 0 && int(*p.Limit) < asked {
		limit = int(*p.Limit)
	}
	return p.Data == nil || len(*p.Data) < limit
}

func unquoted(b []byte) string {
	if len(b) > 1 && b[0] == '"' {
		var s string
		if json.Unmarshal(b, &s) == nil {
			return s
		}
	}
	return string(b)
}
