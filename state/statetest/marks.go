package statetest

import (
	"testing"
	"time"
)

func testMarks(t *testing.T, f *fixture) {
	ctx := t.Context()
	at := time.Date(2026, 11, 22, 12, 0, 0, 123e6, time.UTC)
	for _, step := range []struct {
		name string
		at   time.Time
	}{{"a", at}, {"b", at.Add(time.Hour)}, {"a", at.Add(time.Minute)}, {"b", time.Time{}}, {"never", time.Time{}}} {
		if err := f.SetMark(ctx, step.name, step.at); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]time.Time{"a": at.Add(time.Minute), "b": {}, "never": {}, "unknown": {}} {
		got, err := f.Mark(ctx, name)
		if err != nil || !got.Equal(want) {
			t.Errorf("mark %q is %s, %v; want %s", name, got, err, want)
		}
	}
	if err := f.SetMark(ctx, "", at); err == nil {
		t.Error("a mark without a name was set")
	}
}
