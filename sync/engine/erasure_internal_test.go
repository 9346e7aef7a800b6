package engine

import "testing"

func TestPatternsOfEmails(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, email string
		want           bool
	}{
		{"*@anonymous.invalid", "anyone@anonymous.invalid", true},
		{"*@anonymous.invalid", "@anonymous.invalid", true},
		{"*@anonymous.invalid", "anyone@anonymous.invalid.example.com", false},
		{"*@anonymous.invalid", "anyone@not-anonymous.invalid", false},
		{"deleted-*@example.com", "deleted-17@example.com", true},
		{"deleted-*@example.com", "undeleted-17@example.com", false},
		{"gone-??@example.com", "gone-17@example.com", true},
		{"gone-??@example.com", "gone-1@example.com", false},
		{"gone-??@example.com", "gone-171@example.com", false},
		{"*a*b*", "xxaxxbxx", true},
		{"*a*b*", "xxbxxaxx", false},
		{"*ab", "aab", true},
		{"*ab", "aba", false},
		{"**x", "x", true},
		{"a?c", "aéc", true},
		{"exact@example.com", "exact@example.com", true},
		{"exact@example.com", "exact@example.co", false},
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"*", "", true},
	} {
		if got := like(tc.pattern, tc.email); got != tc.want {
			t.Errorf("%q like %q: %v", tc.email, tc.pattern, got)
		}
	}
}
