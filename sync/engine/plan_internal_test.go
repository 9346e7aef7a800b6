package engine

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

var (
	contentA, contentB = state.Hash{1}, state.Hash{2}
	optIn, optOut      = state.Hash{3}, state.Hash{4}
	refusedOnce        = state.Hash{5}
	noon               = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// acknowledgedRecord is a row that Copernica has with content A, opted in.
func acknowledgedRecord() state.Record {
	return state.Record{
		Entity: state.Profile, Key: "shop-c1", SourceID: 1, CopernicaID: 7, Hash: contentA,
		ConsentSource: optIn, ConsentWritten: optIn, SourceUpdatedAt: noon, State: state.Acknowledged,
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	type expect struct {
		action                           action
		sendContent, sendConsent, lookup bool
	}
	for _, tc := range []struct {
		name   string
		before func(*state.Record) // nil: the ledger has no row
		change func(*intent)
		facts  facts
		want   expect
	}{
		{"a customer the ledger does not know is created with consent", nil, nil, facts{}, expect{create, true, true, false}},
		{"in an account with unknown profiles it is looked up first", nil, nil, facts{adopting: true}, expect{create, true, true, true}},
		{"promise 8: equal content and consent cost nothing", func(*state.Record) {}, nil, facts{}, expect{action: nothing}},
		{"changed content is updated without consent", func(*state.Record) {}, func(it *intent) { it.content = contentB }, facts{}, expect{update, true, false, false}},
		{"promise 18: changed consent goes apart from content", func(*state.Record) {}, func(it *intent) { it.consent = optOut }, facts{}, expect{update, false, true, false}},
		{"both", func(*state.Record) {}, func(it *intent) { it.content, it.consent = contentB, optOut }, facts{}, expect{update, true, true, false}},
		{
			"promise 22: never older over newer",
			func(*state.Record) {},
			func(it *intent) { it.content, it.row.UpdatedAt = contentB, noon.Add(-time.Second) },
			facts{},
			expect{action: nothing},
		},
		{"the same second may have changed", func(*state.Record) {}, func(it *intent) { it.content = contentB }, facts{}, expect{update, true, false, false}},
		{"promise 10: a planned row is looked up before it is written", func(r *state.Record) { r.State, r.CopernicaID, r.Hash = state.Planned, 0, state.Hash{} }, nil, facts{}, expect{create, true, true, true}},
		{"an unknown update is looked up though nothing changed since", func(r *state.Record) { r.State = state.Unknown }, nil, facts{}, expect{update, false, true, true}},
		{"a removed profile is created anew after a look", func(r *state.Record) { r.State = state.Removed }, nil, facts{}, expect{create, true, true, true}},
		{"refused content is not sent again", func(r *state.Record) { r.State, r.Refused = state.Refused, refusedOnce }, func(it *intent) { it.content, it.attempt = contentB, refusedOnce }, facts{}, expect{action: nothing}},
		{"refused, and an operator asks for it again", func(r *state.Record) { r.State, r.Refused = state.Refused, refusedOnce }, func(it *intent) { it.content, it.attempt = contentB, refusedOnce }, facts{again: true}, expect{update, true, false, false}},
		{"refused, and saved again without a change", func(r *state.Record) { r.State, r.Refused = state.Refused, refusedOnce }, func(it *intent) { it.content = contentB }, facts{}, expect{update, true, false, false}},
		{"refused, then changed: sent again", func(r *state.Record) { r.State, r.Refused = state.Refused, refusedOnce }, func(it *intent) { it.content = state.Hash{9} }, facts{}, expect{update, true, false, false}},
		{"refused, then changed back: settled without a call", func(r *state.Record) { r.State, r.Refused = state.Refused, refusedOnce }, nil, facts{}, expect{action: settled}},
		{
			"promise 18: what cannot be mapped does not hold up consent",
			func(*state.Record) {},
			func(it *intent) { it.problem, it.consent = errors.New("no e-mail"), optOut },
			facts{},
			expect{update, false, true, false},
		},
		{"what cannot be mapped is refused", nil, func(it *intent) { it.problem = errors.New("no e-mail") }, facts{}, expect{action: refuse}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			it := &intent{row: mapping.Row{Key: "shop-c1", SourceID: 1, UpdatedAt: noon}, content: contentA, consent: optIn}
			if tc.before != nil {
				it.before, it.known = acknowledgedRecord(), true
				tc.before(&it.before)
			}
			if tc.change != nil {
				tc.change(it)
			}
			it.plan(tc.facts)
			if got := (expect{it.action, it.sendContent, it.sendConsent, it.lookFirst}); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// Whatever the ledger says and whatever was read, a plan holds what the promises
// ask of it, and planning again changes nothing.
func TestPlanProperties(t *testing.T) {
	t.Parallel()
	hash := rapid.Custom(func(t *rapid.T) state.Hash { return state.Hash{rapid.Byte().Draw(t, "hash") % 3} })
	rapid.Check(t, func(t *rapid.T) {
		it := &intent{
			row:     mapping.Row{Key: "shop-c1", SourceID: 1, UpdatedAt: noon.Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "age")) * time.Second)},
			content: hash.Draw(t, "content"), consent: hash.Draw(t, "consent"), attempt: hash.Draw(t, "attempt"),
		}
		if rapid.Bool().Draw(t, "unmappable") {
			it.problem = errors.New("cannot be mapped")
		}
		if it.known = rapid.Bool().Draw(t, "known"); it.known {
			it.before = state.Record{
				Key: "shop-c1", CopernicaID: rapid.Int64Range(0, 2).Draw(t, "id"), Hash: hash.Draw(t, "acknowledged"),
				ConsentSource: hash.Draw(t, "settled"), Refused: hash.Draw(t, "refused"), SourceUpdatedAt: noon,
				State: rapid.SampledFrom([]state.RecordState{state.Planned, state.Unknown, state.Acknowledged, state.Refused, state.Removed}).Draw(t, "state"),
			}
		}
		f := facts{adopting: rapid.Bool().Draw(t, "adopting")}
		it.plan(f)
		first := *it
		it.plan(f)
		if first.action != it.action || first.lookFirst != it.lookFirst || first.sendContent != it.sendContent || first.sendConsent != it.sendConsent {
			t.Fatal("planning twice gives two plans")
		}
		rec := it.before
		switch {
		case it.problem != nil && it.sendContent:
			t.Fatal("what cannot be mapped is sent")
		case it.known && rec.State != state.Removed && it.row.UpdatedAt.Before(rec.SourceUpdatedAt) && it.writes():
			t.Fatal("promise 22: older over newer")
		case it.writes() && it.known && (rec.State == state.Planned || rec.State == state.Unknown) && !it.lookFirst:
			t.Fatal("promise 10: written without a look")
		case it.action == create && (f.adopting || it.known) && !it.lookFirst:
			t.Fatal("promise 18: consent carried to a profile that was not read")
		case it.action == update && rec.CopernicaID == 0:
			t.Fatal("an update without an id")
		case it.writes() && rec.State == state.Acknowledged && rec.CopernicaID != 0 && rec.Hash == it.content && rec.ConsentSource == it.consent:
			t.Fatal("promise 8: equal content is sent")
		}
	})
}
