package copernicatest

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// object is a decoded JSON object or array, or a form's fields: PHP knows one kind
// of array. Order and doubles are kept, since names match whatever their case and
// the last one wins (behaviour 28).
type object []pair

type pair struct {
	name  string
	value any // nil, bool, string, json.Number or object
}

// get returns the last value of a name, whose case counts (behaviour 29).
func (o object) get(name string) any {
	var v any
	for _, p := range o {
		if p.name == name {
			v = p.value
		}
	}
	return v
}

// text is PHP's string conversion of a scalar; ok is false for arrays and null.
func text(v any) (s string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "1", true
		}
		return "", true
	case json.Number:
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return strconv.FormatInt(i, 10), true
		}
		f, _ := strconv.ParseFloat(v.String(), 64)
		return floatText(f), true
	default:
		return "", false
	}
}

// truthy is how the API reads a boolean parameter: yes, true or a number of at least
// one; blanks around it make it false (behaviour 50).
func truthy(s string) bool {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return math.Abs(f) >= 1
	}
	return strings.EqualFold(s, "yes") || strings.EqualFold(s, "true")
}

// empty is a type's empty value (behaviour 23).
func (f *field) empty() string {
	switch f.typ {
	case "integer", "foreign_key", "float":
		return "0"
	case "date":
		return "0000-00-00"
	case "datetime":
		return "0000-00-00 00:00:00"
	default:
		return ""
	}
}

// convert turns any value into what the field stores. No value is refused
// (behaviour 14); length is not its business.
func (a *Account) convert(f *field, v any) string {
	switch f.kind {
	case kindSelect:
		s, _ := text(v)
		if slices.Contains(f.options, s) {
			return s
		}
		return ""
	case kindInt:
		return strconv.FormatInt(intCast(v), 10)
	case kindFloat:
		return floatText(floatCast(v))
	case kindDate:
		return a.convertDate(f, v)
	default:
		s, _ := text(v)
		return s
	}
}

func (a *Account) convertDate(f *field, v any) string {
	date := strings.HasSuffix(f.typ, "date")
	if v == false {
		return f.empty()
	}
	s, _ := text(v)
	s = strings.Trim(s, " \t\n\r\v\x00")
	if s == "" || strings.HasPrefix(s, "0000-00-00") {
		return f.empty()
	}
	wall, ok := strtotime(s, a.now())
	switch {
	case !ok || wall.Year() > 9999: // beyond what the column holds
		return f.empty()
	case wall.Year() < 0 && date:
		return "0000-00-00" // also for empty_date (behaviour 23)
	case wall.Year() < 0:
		return "0000-00-00 00:00:00"
	case date:
		return wall.Format(time.DateOnly)
	default:
		return wall.Format(time.DateTime)
	}
}

// options splits a select's choices: one a line, trailing blanks off, a star marks
// the default. It returns the property as replies show it, without the star.
func options(value string) (shown string, choices []string, initial string) {
	lines := strings.Split(strings.ReplaceAll(value, "\r\n", "\n"), "\n")
	for i, line := range lines {
		bare, star := strings.CutSuffix(line, "*")
		lines[i] = bare
		bare = strings.TrimRight(bare, " ")
		if star {
			initial = bare
		}
		choices = append(choices, bare)
	}
	return strings.Join(lines, "\r\n"), choices, initial
}

// intCast is PHP's (int) (behaviour 16).
func intCast(v any) int64 {
	switch v := v.(type) {
	case bool:
		if v {
			return 1
		}
	case object:
		if len(v) > 0 {
			return 1
		}
	case json.Number:
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return i
		}
		f, _ := strconv.ParseFloat(v.String(), 64)
		return wrap(f)
	case string:
		s, isFloat := numericPrefix(v)
		if !isFloat {
			// A string too large for an int ends at the largest one.
			i, _ := strconv.ParseInt(s, 10, 64)
			return i
		}
		f, _ := strconv.ParseFloat(s, 64)
		switch {
		case f >= math.MaxInt64:
			return math.MaxInt64
		case f <= math.MinInt64:
			return math.MinInt64
		}
		return int64(f)
	}
	return 0
}

// wrap converts a float as PHP does: modulo 2^64.
func wrap(f float64) int64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	f = math.Trunc(f)
	if f >= math.MinInt64 && f < math.MaxInt64 {
		return int64(f)
	}
	m := math.Mod(f, 1<<64)
	if m < 0 {
		m += 1 << 64
	}
	return int64(uint64(m))
}

func floatCast(v any) float64 {
	switch v := v.(type) {
	case json.Number:
		f, _ := strconv.ParseFloat(v.String(), 64)
		return f
	case string:
		s, _ := numericPrefix(v)
		f, _ := strconv.ParseFloat(s, 64)
		return f
	default:
		return float64(intCast(v))
	}
}

// numericPrefix returns the number that s begins with, "" if none.
func numericPrefix(s string) (number string, isFloat bool) {
	s = strings.TrimLeft(s, " \t\n\r\v\f")
	digits := func(from int) int {
		for from < len(s) && s[from] >= '0' && s[from] <= '9' {
			from++
		}
		return from
	}
	i := 0
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	end := digits(i)
	whole := end > i
	if end < len(s) && s[end] == '.' {
		if frac := digits(end + 1); frac > end+1 || whole {
			whole, isFloat = whole || frac > end+1, true
			end = frac
		}
	}
	if !whole {
		return "", false
	}
	if end < len(s) && (s[end] == 'e' || s[end] == 'E') {
		exp := end + 1
		if exp < len(s) && (s[exp] == '+' || s[exp] == '-') {
			exp++
		}
		if last := digits(exp); last > exp {
			end, isFloat = last, true
		}
	}
	return s[:end], isFloat
}

// floatText is PHP's string of a float: 14 significant digits. A column holds no
// infinity.
func floatText(f float64) string {
	if f == 0 || math.IsInf(f, 0) {
		return "0"
	}
	s := strconv.FormatFloat(f, 'G', 14, 64)
	mantissa, exp, ok := strings.Cut(s, "E")
	if !ok {
		return s
	}
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	sign, digits := exp[:1], strings.TrimLeft(exp[1:], "0")
	return mantissa + "E" + sign + digits
}

// cut shortens a text to its field's length in characters.
func (f *field) cut(s string) string {
	if !f.tooLong(s) {
		return s
	}
	return string([]rune(s)[:f.length])
}

func (f *field) tooLong(s string) bool {
	return f.kind == kindText && f.length > 0 && len(s) > f.length && utf8.RuneCountInString(s) > f.length
}

// fold brings a stored value into the form in which two equal ones are the same
// string (behaviour 35).
func (a *Account) fold(f *field, v string) string {
	if f.kind == kindText {
		return a.foldText(v)
	}
	return v
}

func (a *Account) foldText(v string) string {
	if a.cfg.AccentsEqual {
		v = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, norm.NFD.String(v))
	}
	if a.cfg.TrailingBlanksEqual {
		v = strings.TrimRight(v, " ")
	}
	return strings.ToLower(v)
}

// ascii is what becomes of a secret: anything else is a question mark (behaviour 25).
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII {
			return '?'
		}
		return r
	}, s)
}
