package main

import (
	"strings"
	"testing"
)

// An id in another notation than the decimal one would name another record.
func TestIDsAreDecimal(t *testing.T) {
	t.Parallel()
	s := newOrderStage(t)
	s.ends(exitDone, s.run("run"))
	for _, id := range []string{"000000012", "017", "0x10", "1_0", "1e2", "twelve", "99999999999999999999"} {
		for _, line := range [][]string{
			{"resync", "orders", "--dry-run", "--ids", id},
			{"resync", "--cancel", id},
			{"dead", "show", id},
			{"dead", "resolve", id, "--why", "test"},
			{"dead", "replay", id},
		} {
			if out := s.run(line...); out.code != exitConfiguration || !strings.Contains(out.stderr, "is no whole number") && !strings.Contains(out.stderr, "begins with a zero") {
				t.Errorf("%v: exit code %d\n%s%s", line, out.code, out.stdout, out.stderr)
			}
		}
	}
	s.ends(exitDone, s.run("resync", "orders", "--dry-run", "--ids", "1,2"))
}
