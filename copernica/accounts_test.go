package copernica_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// notes are the refusals that stand below the table of docs/accounts.md.
var notes = []struct{ mark, step string }{{"¹", stepConsumption}, {"²", stepSubRemoval}, {"³", stepCompletely}, {"⁴", stepPublisher}, {"⁵", stepSuite}}

// cell is what docs/accounts.md says about one version and one position of a switch.
// TestConformance proves it.
func cell(version int, s setting) string {
	refused := refusedSteps(version, s.s)
	if slices.Contains(refused, stepIdentity) {
		return "refused"
	}
	text := "works"
	for _, note := range notes {
		if i := slices.Index(refused, note.step); i >= 0 {
			text += " " + note.mark
			refused = slices.Delete(refused, i, i+1)
		}
	}
	if len(refused) > 0 {
		text += "; refused: " + strings.Join(refused, ", ")
	}
	return text
}

// The table of docs/accounts.md has a row for each position of each switch, and says of
// each version what the conformance run finds.
func TestAccountsTable(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../docs/accounts.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	_, table, found := strings.Cut(text, "| In the emulator |\n")
	if !found {
		t.Fatal("docs/accounts.md has no table")
	}
	table, below, _ := strings.Cut(table, "\n\n")
	for _, note := range notes {
		if _, says, ok := strings.Cut(below, note.mark); !ok || !strings.Contains(says, note.step) {
			t.Errorf("the note %s does not speak of %s", note.mark, note.step)
		}
	}
	rows := map[string][]string{} // of cells, by setting
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 6 || strings.HasPrefix(cells[0], "---") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows[strings.Trim(cells[5], "`")] = cells
	}
	for _, s := range settings(t) {
		name := s.String()
		if s.name == "" {
			name = fmt.Sprint(s.position)
		}
		cells := []string{"…", cell(1, s), cell(2, s), cell(3, s), cell(4, s), "`" + name + "`"}
		got := rows[name]
		delete(rows, name)
		if got == nil {
			t.Errorf("there is no row | %s |", strings.Join(cells, " | "))
			continue
		}
		if !slices.Equal(cells[1:5], got[1:5]) || len(got[0]) < len("… as jwt") {
			t.Errorf("%s: the row says %q, the test %q", name, got[1:5], cells[1:5])
		}
	}
	for name := range rows {
		t.Errorf("the row %s is of no switch", name)
	}
}
