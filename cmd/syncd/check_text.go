package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/magento-copernica/syncd/sync/doctor"
)

// statusMarks are seen at a glance; the words beside them are read, and searched for.
var statusMarks = map[doctor.Status]struct{ mark, word string }{
	doctor.OK:      {"✓", "ok"},
	doctor.Warning: {"!", "warning"},
	doctor.Failure: {"✗", "failed"},
	doctor.Skipped: {"-", "skipped"},
}

// printReport prints a line for each check, with the fix behind what is wrong, and a
// line that sums up.
func printReport(w io.Writer, r doctor.Report) {
	groups, names := 0, 0
	for _, one := range r.Results {
		groups, names = max(groups, utf8.RuneCountInString(one.Group)), max(names, utf8.RuneCountInString(one.Name))
	}
	for _, one := range r.Results {
		s := statusMarks[one.Status]
		text := one.Text
		if one.Fix != "" {
			text += ": " + one.Fix
		}
		fmt.Fprintf(w, "%s %-7s  %s  %s  %s\n", s.mark, s.word, padded(one.Group, groups), padded(one.Name, names), oneLine(text))
	}
	fmt.Fprintf(w, "\n%s\n", sumUp(r))
}

func padded(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// oneLine keeps a text that holds line ends, as a joined error does, on its line.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", "; ") }

func sumUp(r doctor.Report) string {
	var parts []string
	for _, one := range []struct {
		status doctor.Status
		noun   string
	}{{doctor.Failure, "failed"}, {doctor.Warning, "with a warning"}, {doctor.Skipped, "skipped"}, {doctor.OK, "ok"}} {
		if n := r.Count(one.status); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, one.noun))
		}
	}
	text := fmt.Sprintf("%d checks: %s", len(r.Results), strings.Join(parts, ", "))
	if r.OK() {
		return text + "; nothing stands in the way of `syncd run`"
	}
	return text
}
