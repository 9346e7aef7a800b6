package engine

import (
	"testing"

	"github.com/magento-copernica/syncd/state"
)

// Promise 19: more than 20 missing records, and more than 0.5 % of those that the shop
// should have, wait for an operator.
func TestPromise19_HowManyMayBeMissing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rows map[state.RecordState]int64
		most int64
	}{
		"nothing":                        {nil, 20},
		"a small shop":                   {map[state.RecordState]int64{state.Acknowledged: 500}, 20},
		"4,000":                          {map[state.RecordState]int64{state.Acknowledged: 4000}, 20},
		"4,199":                          {map[state.RecordState]int64{state.Acknowledged: 4199}, 20},
		"4,200":                          {map[state.RecordState]int64{state.Acknowledged: 4200}, 21},
		"a large shop":                   {map[state.RecordState]int64{state.Acknowledged: 400_000}, 2000},
		"whatever they wait for":         {map[state.RecordState]int64{state.Acknowledged: 4000, state.Planned: 300, state.Unknown: 300, state.Refused: 300, state.Claimed: 100}, 25},
		"those of the round among them":  {map[state.RecordState]int64{state.Acknowledged: 4990, state.Missing: 10}, 25},
		"who went before does not count": {map[state.RecordState]int64{state.Acknowledged: 5000, state.Gone: 100_000, state.Removed: 100_000}, 25},
	} {
		if most := mostMissing(expected(tc.rows)); most != tc.most {
			t.Errorf("%s: %d, want %d", name, most, tc.most)
		}
	}
}
