package magento

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Decimal is an exact decimal number as text, such as "64.85", "504" or "-6.99": no
// exponent, no trailing zeros, no plus sign. "" is a number that the shop left out.
type Decimal string

// maxDigits bounds a number on either side of its point. Magento's columns have 20
// digits, 4 of them decimals.
const maxDigits = 40

// ParseDecimal reads a number as JSON or a database prints it. "" is one that is left
// out.
func ParseDecimal(s string) (Decimal, error) {
	if s == "" {
		return "", nil
	}
	rest, negative := strings.CutPrefix(s, "-")
	rest, exponent, scientific := strings.Cut(strings.ToLower(rest), "e")
	whole, fraction, point := strings.Cut(rest, ".")
	bad := !digits(whole) || point && !digits(fraction)
	if scientific && !bad {
		n, err := strconv.Atoi(exponent)
		if bad = err != nil || max(n, -n) > maxDigits; !bad {
			whole, fraction = shift(whole, fraction, n)
		}
	}
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if bad || len(whole) > maxDigits || len(fraction) > maxDigits {
		return "", fmt.Errorf("%q is no decimal number", s)
	}
	switch {
	case whole == "" && fraction == "":
		return "0", nil
	case whole == "":
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if negative {
		whole = "-" + whole
	}
	return Decimal(whole), nil
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// shift moves the point n places to the right.
func shift(whole, fraction string, n int) (string, string) {
	all, at := whole+fraction, len(whole)+n
	if at < 0 {
		all, at = strings.Repeat("0", -at)+all, 0
	}
	if at > len(all) {
		all += strings.Repeat("0", at-len(all))
	}
	return all[:at], all[at:]
}

// Cmp compares two numbers; one that is left out is 0.
func (d Decimal) Cmp(other Decimal) int { return d.rat().Cmp(other.rat()) }

// Add returns the exact sum; a number that is left out is 0.
func (d Decimal) Add(other Decimal) Decimal {
	sum := new(big.Rat).Add(d.rat(), other.rat())
	exact, err := ParseDecimal(sum.FloatString(maxDigits))
	if err != nil {
		return d // both are within bounds, and a digit more is as well
	}
	return exact
}

func (d Decimal) rat() *big.Rat {
	if r, ok := new(big.Rat).SetString(string(d)); ok {
		return r
	}
	return new(big.Rat)
}

// UnmarshalJSON reads a number, a number as text, "" or null.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	b = unquote(b)
	if string(b) == "null" || len(b) == 0 {
		*d = ""
		return nil
	}
	parsed, err := ParseDecimal(string(b))
	if err != nil {
		return errKind
	}
	*d = parsed
	return nil
}
