package state_test

import (
	"reflect"
	"testing"

	"github.com/magento-copernica/syncd/state"
)

// The sum of two runs leaves no counter out.
func TestCountersPlus(t *testing.T) {
	t.Parallel()
	var one, want state.Counters
	for i, v, w := 0, reflect.ValueOf(&one).Elem(), reflect.ValueOf(&want).Elem(); i < v.NumField(); i++ {
		v.Field(i).SetInt(int64(i + 1))
		w.Field(i).SetInt(int64(2 * (i + 1)))
	}
	if got := one.Plus(one); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
