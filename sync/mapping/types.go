package mapping

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/magento"
)

// Type is a Copernica field type.
type Type string

// The types a mapping may use (Copernica's REST documentation, "fields").
const (
	Text          Type = "text"
	Email         Type = "email"
	Big           Type = "big"
	Integer       Type = "integer"
	Float         Type = "float"
	Date          Type = "date"
	DateTime      Type = "datetime"
	EmptyDate     Type = "empty_date"
	EmptyDateTime Type = "empty_datetime"
)

func (t Type) known() bool {
	switch t {
	case Text, Email, Big, Integer, Float, Date, DateTime, EmptyDate, EmptyDateTime:
		return true
	}
	return false
}

func (t Type) text() bool { return t == Text || t == Email || t == Big }

const (
	dateLayout     = "2006-01-02"
	dateTimeLayout = "2006-01-02 15:04:05"
)

// empty is what Copernica stores for "nothing" in a field of this type.
func (t Type) empty() string {
	switch t {
	case Integer, Float:
		return "0"
	case Date:
		return "0000-00-00"
	case DateTime:
		return "0000-00-00 00:00:00"
	default:
		return ""
	}
}

// canonical brings a value from the shop into the form in which Copernica gives
// it back. Times come in UTC as Magento prints them and go out local to zone. A
// value that the type cannot hold becomes empty, as it would at Copernica.
func (t Type) canonical(v string, length int, zone *time.Location) string {
	if v == "" {
		return t.empty()
	}
	switch t {
	case Integer:
		n, err := strconv.ParseInt(strings.TrimSuffix(v, ".0"), 10, 64)
		if err != nil {
			return t.empty()
		}
		return strconv.FormatInt(n, 10)
	case Float:
		if number := exact(magento.Decimal(v)); number != "" {
			return number
		}
		n, err := strconv.ParseFloat(v, 64) // other ways to write a number, such as .5
		if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
			return t.empty()
		}
		return strconv.FormatFloat(n, 'f', -1, 64)
	case Date, EmptyDate:
		if len(v) > len(dateLayout) {
			v = v[:len(dateLayout)]
		}
		if _, err := time.Parse(dateLayout, v); err != nil {
			return t.empty()
		}
		return v
	case DateTime, EmptyDateTime:
		at, err := time.ParseInLocation(dateTimeLayout, v, time.UTC)
		if err != nil {
			return t.empty()
		}
		return t.canonicalTime(at, zone)
	default:
		return cut(strings.ToValidUTF8(v, "\uFFFD"), length)
	}
}

// exact is a number in the one form that it has, digit for digit; "" when it is none or
// left out.
func exact(d magento.Decimal) string {
	if plain(string(d)) {
		return string(d)
	}
	parsed, err := magento.ParseDecimal(string(d))
	if err != nil {
		return ""
	}
	return string(parsed)
}

// plain tells a number that has its one form already, as nearly every amount does.
func plain(s string) bool {
	whole := strings.TrimPrefix(s, "-")
	if whole == "" || len(whole) > 1 && whole[0] == '0' && whole[1] != '.' || s == "-0" {
		return false
	}
	point := -1
	for i := range len(whole) {
		switch c := whole[i]; {
		case c == '.' && point < 0 && i > 0:
			point = i
		case c < '0' || c > '9':
			return false
		}
	}
	return point < 0 || whole[len(whole)-1] >= '1'
}

// canonicalTime is canonical for a value that is a time already.
func (t Type) canonicalTime(at time.Time, zone *time.Location) string {
	switch {
	case at.IsZero():
		return t.empty()
	case t == Date || t == EmptyDate:
		return at.In(zone).Format(dateLayout)
	default:
		return at.In(zone).Format(dateTimeLayout)
	}
}

// cut shortens s to length characters; Copernica does not say whether it cuts or refuses.
func cut(s string, length int) string {
	if length <= 0 || len(s) <= length {
		return s
	}
	for i := range s {
		if length == 0 {
			return s[:i]
		}
		length--
	}
	return s
}

// same reports whether a value read back says what was sent. Numbers compare as
// numbers (Copernica prints 9.90 as 9.9), and an empty date is empty in either form.
func (t Type) same(sent, read string) bool {
	if sent == read {
		return true
	}
	if t == Integer || t == Float {
		a, errA := strconv.ParseFloat(sent, 64)
		b, errB := strconv.ParseFloat(read, 64)
		return errA == nil && errB == nil && a == b
	}
	return t.date() && strings.Trim(sent, "0-: ") == "" && strings.Trim(read, "0-: ") == ""
}

func (t Type) date() bool {
	return t == Date || t == DateTime || t == EmptyDate || t == EmptyDateTime
}
