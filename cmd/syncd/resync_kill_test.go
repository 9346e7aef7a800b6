package main

import (
	"strings"
	"testing"
)

// A resync that is killed anywhere, on either store, goes on where it was: the request
// outlives its process, and no more is written twice than was in flight.
func TestPromise22_AKilledResyncGoesOn(t *testing.T) {
	t.Parallel()
	for _, on := range stores() {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			for _, at := range []string{"planned:1", "sent:2", "committed:1", "closing:1"} {
				t.Run(at, func(t *testing.T) {
					t.Parallel()
					w := newTown(t, on.database(t), small())
					w.finish(t, []string{"run"})
					w.peopleMove() // which the resync brings before the live stream does
					w.later()
					w.dies(t, []string{"resync", "customers"}, at)
					w.finish(t, []string{"resync"})
					out, err := w.command(t, []string{"resync", "--list"}).CombinedOutput()
					if err != nil || !strings.Contains(string(out), "customers  done") {
						t.Errorf("%v\n%s", err, out)
					}
					w.finish(t, []string{"run"})
					w.judge(t)
				})
			}
		})
	}
}
