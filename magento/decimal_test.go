package magento_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/magento"
)

func TestParseDecimal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]magento.Decimal{
		"": "", "0": "0", "-0": "0", "0.0000": "0", "64.85": "64.85", "64.8500": "64.85", "504": "504", "504.0000": "504", "-6.99": "-6.99", "007": "7",
		"0.5": "0.5", "1.0e-5": "0.00001", "1.5E+2": "150", "12e1": "120", "1.25e1": "12.5", "-1e-2": "-0.01", "99999999999999999999.9999": "99999999999999999999.9999",
	} {
		got, err := magento.ParseDecimal(in)
		if err != nil || got != want {
			t.Errorf("%q is %q (%v), want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"-", ".", "1.", ".5", "+1", "1,5", " 1", "1 ", "--1", "0x1", "1e", "1e99999999999", "1e41", "abc", "1.2.3", "NaN", "Infinity", "١",
		strings.Repeat("9", 41),
	} {
		if got, err := magento.ParseDecimal(in); err == nil {
			t.Errorf("%q is %q, want an error", in, got)
		}
	}
}

// TestDecimal_Exact adds and compares numbers as whole ten-thousandths would.
func TestDecimal_Exact(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	parse := func(n int64) magento.Decimal {
		sign := ""
		if n < 0 {
			sign, n = "-", -n
		}
		d, err := magento.ParseDecimal(fmt.Sprintf("%s%d.%04d", sign, n/10_000, n%10_000))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for range 10_000 {
		a, b := rnd.Int64N(2e6)-1e6, rnd.Int64N(2e6)-1e6
		x, y := parse(a), parse(b)
		if got, want := x.Add(y), parse(a+b); got != want {
			t.Fatalf("seed %d: %s + %s = %s, want %s", seed, x, y, got, want)
		}
		if got := x.Cmp(y); got < 0 != (a < b) || got > 0 != (a > b) {
			t.Fatalf("seed %d: %s against %s is %d", seed, x, y, got)
		}
		var number json.Number
		if err := json.Unmarshal([]byte(x), &number); err != nil || number.String() != string(x) {
			t.Fatalf("seed %d: %s is no JSON number: %v", seed, x, err)
		}
	}
	if got := magento.Decimal("").Add(""); got != "0" {
		t.Errorf("nothing and nothing is %q", got)
	}
}
