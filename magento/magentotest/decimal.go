package magentotest

import (
	"strconv"
	"strings"
)

// decimal is an exact number of ten-thousandths, the precision of the shop's columns.
type decimal int64

const one decimal = 10_000

// parseDecimal reads a text such as "64.85"; "" is 0. Anything else is a mistake of
// the test and panics.
func parseDecimal(s string) decimal {
	if s == "" {
		return 0
	}
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole+(fraction + "0000")[:4], 10, 64)
	if err != nil || len(fraction) > 4 {
		panic("magentotest: " + s + " is no amount")
	}
	return decimal(n)
}

// String prints d as the shop does: no trailing zeros, no point when whole.
func (d decimal) String() string {
	var b [24]byte
	out := b[:0]
	if d < 0 {
		out, d = append(out, '-'), -d
	}
	out = strconv.AppendInt(out, int64(d/one), 10)
	if rest := int64(d % one); rest != 0 {
		digits := strconv.FormatInt(int64(one)+rest, 10)
		out = append(append(out, '.'), strings.TrimRight(digits[1:], "0")...)
	}
	return string(out)
}

// times multiplies, rounding half away from zero to four places.
func (d decimal) times(by decimal) decimal { return scale(int64(d)*int64(by), int64(one)) }

// cents rounds half away from zero to two places.
func (d decimal) cents() decimal { return scale(int64(d), 100) * 100 }

func scale(n, by int64) decimal {
	if n < 0 {
		return decimal((n - by/2) / by)
	}
	return decimal((n + by/2) / by)
}
