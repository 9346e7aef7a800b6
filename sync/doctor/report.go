package doctor

import (
	"encoding/json"
	"time"
)

// Report is what [Run] found.
type Report struct{ Results []Result }

// Count returns how many results have a status.
func (r Report) Count(s Status) int {
	n := 0
	for _, one := range r.Results {
		if one.Status == s {
			n++
		}
	}
	return n
}

// OK reports whether nothing failed.
func (r Report) OK() bool { return r.Count(Failure) == 0 }

// MarshalJSON prints the form that docs/operations.md describes: names and meanings
// stay, new ones may join.
func (r Report) MarshalJSON() ([]byte, error) {
	type result struct {
		Group  string `json:"group"`
		Name   string `json:"name"`
		Status Status `json:"status"`
		Text   string `json:"text"`
		Fix    string `json:"fix,omitempty"`
		TookMS int64  `json:"took_ms"`
	}
	out := struct {
		OK       bool     `json:"ok"`
		Failures int      `json:"failures"`
		Warnings int      `json:"warnings"`
		Skipped  int      `json:"skipped"`
		Checks   []result `json:"checks"`
	}{r.OK(), r.Count(Failure), r.Count(Warning), r.Count(Skipped), []result{}}
	for _, one := range r.Results {
		out.Checks = append(out.Checks, result{
			Group: one.Group, Name: one.Name, Status: one.Status, Text: one.Text, Fix: one.Fix,
			TookMS: int64(one.Took / time.Millisecond),
		})
	}
	return json.Marshal(out)
}
