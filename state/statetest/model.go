package statetest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// model is what a store must hold, kept in the plainest way.
type model struct {
	records    map[state.RecordRef]state.Record
	letters    map[state.RecordRef]int // attempts of the open letter
	checkpoint int64
	position   int64
}

// testModel does the same random things to a store and to a model and compares.
func testModel(t *testing.T, f *fixture) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	m := model{records: make(map[state.RecordRef]state.Record), letters: make(map[state.RecordRef]int)}
	l := f.acquire(t)
	for step := range 110 {
		switch random.IntN(8) {
		case 0, 1:
			m.plan(t, f, l, random)
		case 2:
			if err := f.Release(t.Context(), l); err != nil {
				t.Fatal(err)
			}
			refused(t, f, l)
			l = f.acquire(t)
		default:
			m.commit(t, f, l, random)
		}
		m.compare(t, f, step)
		if t.Failed() {
			return
		}
	}
}

// entities are those of the model.
func entities() []state.Entity { return []state.Entity{state.Profile, state.Order, state.Item} }

// randomRecord is a row with few keys and many values.
func randomRecord(f *fixture, random *rand.Rand) state.Record {
	states := []state.RecordState{state.Planned, state.Unknown, state.Acknowledged, state.Refused, state.Removed, state.Missing, state.Gone, state.Claimed}
	r := state.Record{
		Entity: entities()[random.IntN(3)], Key: fmt.Sprint("shop-c", random.IntN(12)),
		SourceID: random.Int64N(9), State: states[random.IntN(len(states))], Attempts: random.IntN(5),
		RunID: random.Int64N(9),
	}
	if random.IntN(2) == 0 {
		r.Parent, r.Number = fmt.Sprint("shop-c", random.IntN(3)), fmt.Sprint("00", random.IntN(4))
	}
	if random.IntN(2) == 0 {
		r.CopernicaID, r.Hash = random.Int64N(50), hashOf(byte(random.IntN(3)))
	}
	if random.IntN(2) == 0 {
		r.NextAttempt = f.clock.ms().Add(time.Duration(random.IntN(21)-10) * time.Minute)
		r.UnsubscribedAt, r.OutSeenAt = r.NextAttempt, r.NextAttempt.Add(time.Hour)
	}
	if random.IntN(3) == 0 {
		r.Sent = hashOf(byte(1 + random.IntN(2)))
	}
	return r
}

func (m *model) plan(t *testing.T, f *fixture, l state.Lease, random *rand.Rand) {
	t.Helper()
	var rows []state.Record
	for range random.IntN(6) {
		r := randomRecord(f, random)
		r.State = []state.RecordState{state.Planned, state.Unknown}[random.IntN(2)]
		rows = append(rows, r)
		ref := state.RecordRef{Entity: r.Entity, Key: r.Key}
		have, ok := m.records[ref]
		if !ok {
			r.Hash, r.UnsubscribedAt, r.OutSeenAt = state.Hash{}, time.Time{}, time.Time{}
			m.records[ref] = r
			continue
		}
		have.State, have.Attempts, have.PlannedAt, have.NextAttempt = r.State, r.Attempts, r.PlannedAt, r.NextAttempt
		have.RunID, have.Sent = r.RunID, cmp.Or(r.Sent, have.Sent)
		m.records[ref] = have
	}
	if err := f.Plan(t.Context(), l, rows); err != nil {
		t.Fatal(err)
	}
}

func (m *model) commit(t *testing.T, f *fixture, l state.Lease, random *rand.Rand) {
	t.Helper()
	var c state.Commit
	named := make(map[state.RecordRef]bool)
	for range random.IntN(6) {
		r := randomRecord(f, random)
		named[state.RecordRef{Entity: r.Entity, Key: r.Key}] = true
		c.Records = append(c.Records, r)
	}
	for range random.IntN(3) {
		r := randomRecord(f, random)
		if ref := (state.RecordRef{Entity: r.Entity, Key: r.Key}); !named[ref] {
			c.Forget = append(c.Forget, ref)
		}
	}
	for range random.IntN(3) {
		c.Moves = append(c.Moves, state.Move{From: fmt.Sprint("shop-c", random.IntN(3)), To: fmt.Sprint("shop-c", random.IntN(3))})
	}
	if random.IntN(3) == 0 {
		c.Bare = []string{fmt.Sprint("shop-c", random.IntN(3))}
	}
	for range random.IntN(2) {
		r := randomRecord(f, random)
		d := refusal(r.Key, "refused")
		d.Entity = r.Entity
		c.Letters = append(c.Letters, d)
	}
	stale := int64(0)
	if random.IntN(4) == 0 {
		stale = 1 + random.Int64N(2)
	}
	c.Checkpoint = &state.Checkpoint{Stream: stream, Version: m.checkpoint + stale, Position: state.Position{ID: random.Int64()}}
	_, err := f.Commit(t.Context(), l, c)
	if (err != nil) != (stale != 0) {
		t.Fatalf("commit with a checkpoint %d ahead: %v", stale, err)
	}
	if err != nil {
		return
	}
	m.checkpoint, m.position = m.checkpoint+1, c.Checkpoint.Position.ID
	for _, move := range c.Moves {
		m.below(move.From, func(r *state.Record) { r.Parent = move.To })
	}
	for _, key := range c.Bare {
		m.below(key, func(r *state.Record) {
			r.State, r.CopernicaID, r.Number, r.Hash, r.Sent = state.Removed, 0, "", state.Hash{}, state.Hash{}
		})
	}
	for _, r := range c.Records {
		ref := state.RecordRef{Entity: r.Entity, Key: r.Key}
		m.records[ref] = r
		if r.State == state.Acknowledged {
			delete(m.letters, ref)
		}
	}
	for _, ref := range c.Forget {
		if r := m.records[ref]; (r.State == state.Planned || r.State == state.Unknown) && r.Hash.IsZero() {
			delete(m.records, ref)
		}
	}
	for _, d := range c.Letters {
		m.letters[state.RecordRef{Entity: d.Entity, Key: d.Key}]++
	}
}

// below changes what stands below a profile: its orders, and their lines that are its own
// too.
func (m *model) below(profile string, change func(*state.Record)) {
	orders := make(map[int64]bool)
	for ref, r := range m.records {
		if ref.Entity == state.Order && r.Parent == profile {
			orders[r.SourceID] = true
		}
	}
	for ref, r := range m.records {
		if r.Parent == profile && (ref.Entity == state.Order || ref.Entity == state.Item && orders[r.SourceID]) {
			change(&r)
			m.records[ref] = r
		}
	}
}

// rows are the rows that satisfy a condition, in the order of their keys.
func (m *model) rows(which func(state.Record) bool) []state.Record {
	var rows []state.Record
	for _, r := range m.records {
		if which(r) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b state.Record) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(string(a.Entity), string(b.Entity)))
	})
	return rows
}

// compare asks a store for what it must hold, and at each step for some of what stands
// where.
func (m *model) compare(t *testing.T, f *fixture, step int) {
	t.Helper()
	ctx := t.Context()
	cp, err := f.Checkpoint(ctx, shop, stream)
	if err != nil || cp.Version != m.checkpoint || cp.Position.ID != m.position {
		t.Errorf("checkpoint %+v, %v; version %d at %d wanted", cp, err, m.checkpoint, m.position)
	}
	counts := make(map[state.Entity]map[state.RecordState]int64)
	pending := make(map[state.RecordRef]state.Record)
	for ref, r := range m.records {
		if counts[ref.Entity] == nil {
			counts[ref.Entity] = make(map[state.RecordState]int64)
		}
		counts[ref.Entity][r.State]++
		if (r.State == state.Planned || r.State == state.Unknown) && !r.NextAttempt.After(f.clock.Now()) {
			pending[ref] = r
		}
	}
	o, err := f.Overview(ctx, shop)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "counts", counts, o.Records)

	due, err := f.Pending(ctx, shop, f.clock.Now(), 100)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[state.RecordRef]state.Record)
	for _, r := range due {
		got[state.RecordRef{Entity: r.Entity, Key: r.Key}] = r
	}
	same(t, "pending", pending, got)
	same(t, "number of pending rows", len(got), len(due))
	if !slices.IsSortedFunc(due, func(a, b state.Record) int { return a.NextAttempt.Compare(b.NextAttempt) }) {
		t.Error("pending rows are not in order")
	}

	for _, e := range entities() {
		want, highest := make(map[string]state.Record), int64(0)
		for ref, r := range m.records {
			if ref.Entity == e {
				want[ref.Key], highest = r, max(highest, r.CopernicaID)
			}
		}
		rows, err := f.Records(ctx, shop, e, slices.Concat(slices.Collect(maps.Keys(want)), keysOf(12)))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "records", want, rows)
		if id, err := f.HighestID(ctx, shop, e); err != nil || id != highest {
			t.Errorf("highest id of %s is %d, %v; %d wanted", e, id, err, highest)
		}
		few := func(r state.Record) bool { return r.Entity == e && r.SourceID < 5 }
		same(t, "records by source", m.rows(few), f.bySource(t, shop, e, 0, 1, 2, 3, 4))
	}
	for _, number := range [][]string{{"000", ""}, {"003", "00"}}[step%2] {
		same(t, "records by number", m.rows(func(r state.Record) bool { return number != "" && r.Number == number }), f.byNumber(t, shop, number))
	}

	parent, open := fmt.Sprint("shop-c", step%3), step%2 == 0
	orders, err := f.RecordsByParent(ctx, shop, parent, "shop-c1", 100)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "orders of "+parent, m.rows(func(r state.Record) bool {
		return r.Entity == state.Order && r.Parent == parent && r.Key > "shop-c1"
	}), orders)
	claims, err := f.Claims(ctx, shop, open, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "claims", m.rows(func(r state.Record) bool {
		return r.Entity == state.Profile && r.State == state.Claimed && (!open || r.CopernicaID != 0)
	}), claims)

	unclaimed, err := f.Unclaimed(ctx, shop, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "claims undone", m.rows(func(r state.Record) bool {
		return r.Entity == state.Profile && r.Parent != "" && r.State != state.Claimed && r.State != state.Missing && r.State != state.Gone
	}), unclaimed)

	attempts := make(map[state.RecordRef]int)
	for _, d := range f.letters(t) {
		attempts[state.RecordRef{Entity: d.Entity, Key: d.Key}] = d.Attempts
	}
	same(t, "letters", m.letters, attempts)
}
