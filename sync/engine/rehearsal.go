package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// rehearsal plays a run whose writes are imagined: each is taken as acknowledged, and
// what it would leave in the ledger is remembered for the pages that follow. All else is
// the run itself, over a store and a database that keep nothing of it.
type rehearsal struct {
	most  int // rows that are compared with Copernica
	rows  []PreviewRow
	calls int64 // to Copernica, that the writes would take
	shown int64 // to Copernica, that the comparison took
	looks int64 // rows that are looked at before it is decided whether they are written
	took  time.Duration
	ids   int64 // of imagined rows: below zero
	total int64 // records that the shop counted

	// Of a verification; nil: nobody asks.
	found   func(*intent, PreviewRow) // each row that would be written
	played  func(*intent)             // each row whose write was imagined
	settled func(*intent)             // each row that is right, and of which the ledger says less
	missing func(state.Record)        // each row whose record the shop no longer has
}

// play gives each write of a page its outcome.
func (x *rehearsal) play(r *run, p *page) {
	x.total = r.total.Load()
	before := x.calls
	for _, it := range p.intents {
		if it.result = x.outcome(r, it); x.played != nil && it.writes() {
			x.played(it)
		}
	}
	if x.missing != nil {
		for _, rec := range p.missing {
			x.missing(rec)
		}
	}
	if x.calls > before {
		x.calls++ // the look at the schema after a page's writes
	}
}

// outcome is what the writer would make of an intent, if Copernica took every write.
func (x *rehearsal) outcome(r *run, it *intent) result {
	switch {
	case it.action == refuse:
		x.show(it, nil, it.problem)
		return it.refused(it.problem)
	case it.action == settled:
		if x.settled != nil {
			x.settled(it)
		}
		return it.acknowledged(it.before.CopernicaID)
	case !it.writes():
		return result{}
	case it.owner != nil && it.owner.profileID() == 0 && (it.action != remove || it.before.CopernicaID == 0):
		return it.orphaned(r.cfg.Now(), r.cfg.WriteTimeout)
	case it.action == remove:
		x.calls++
		x.show(it, nil, nil)
		res := it.removed()
		res.removed = 1
		return res
	}
	looks := it.lookFirst || it.sendConsent && it.action == update
	x.calls++
	if looks {
		x.looks++
		x.calls++
	}
	if it.moved() {
		x.calls++
	}
	written, kept := true, false
	switch {
	case len(x.rows) >= x.most && x.found != nil:
		x.show(it, nil, nil)
	case len(x.rows) < x.most:
		var err error
		if written, kept, err = x.compare(r, it, looks); err != nil {
			if refusal(err) {
				return it.refused(err)
			}
			return result{err: err}
		}
	}
	res := it.acknowledged(x.id(it))
	switch {
	case !written:
	case it.action == create:
		res.created = 1
	default:
		res.updated = 1
	}
	if kept {
		res.kept = 1
	}
	if it.problem != nil {
		res = it.apart(res)
	}
	return res
}

// id is the one that a row has, or an imagined one.
func (x *rehearsal) id(it *intent) int64 {
	if id := it.copernicaID(); id != 0 {
		return id
	}
	x.ids--
	return x.ids
}

// compare reads a row in Copernica where it may stand, and notes what would change. It
// reports whether the run would write it, and whether an opt-out there would be kept.
func (x *rehearsal) compare(r *run, it *intent, looks bool) (written, kept bool, err error) {
	imagined := it.before.CopernicaID < 0 || it.owner != nil && it.owner.profileID() < 0
	if imagined || it.action == create && !it.lookFirst {
		x.show(it, nil, nil)
		return true, false, nil
	}
	_, calls := r.cfg.Calls()
	began := r.cfg.Now()
	seen, err := r.writer.look(r.writes, it, it.copernicaID())
	_, now := r.cfg.Calls()
	x.shown += now - calls
	x.took += r.cfg.Now().Sub(began)
	switch {
	case err != nil:
		if refusal(err) {
			x.show(it, nil, err)
		}
		return false, false, err
	case !looks: // written by its id, whatever stands there
		x.show(it, seen, nil)
		return true, false, nil
	case seen == nil:
		if it.problem == nil {
			it.action = create
		}
		x.show(it, nil, nil)
		return it.problem == nil, false, nil
	}
	if it.action == create {
		it.action = update
	}
	content, consent, kept := r.writer.due(it, seen)
	if !content && !consent {
		return false, kept, nil
	}
	it.sendContent, it.sendConsent = content, consent
	x.show(it, seen, nil)
	return true, kept, nil
}

// show notes a row among the first ones.
func (x *rehearsal) show(it *intent, seen *standing, problem error) {
	if len(x.rows) >= x.most && x.found == nil {
		return
	}
	row := PreviewRow{Entity: it.entity, Key: it.row.Key, SourceID: it.row.SourceID}
	switch {
	case problem != nil:
		row.Action = PreviewRefuse
		row.Cause, _, _ = letter(problem)
	case it.action == remove:
		row.Action = PreviewRemove
	case it.action == create:
		row.Action = PreviewCreate
		for _, side := range it.row.Sides(nil) {
			if side.Mapped != "" && (!side.Consent || it.sendConsent) {
				row.Fields = append(row.Fields, side)
			}
		}
	default:
		row.Action = PreviewUpdate
		row.Gone = seen == nil && it.before.CopernicaID > 0 && len(x.rows) < x.most
		if row.compared = seen != nil; row.compared {
			row.Fields = it.changes(seen)
		}
	}
	if x.found != nil {
		x.found(it, row)
	}
	if len(x.rows) < x.most {
		x.rows = append(x.rows, row)
	}
}

// changes are the fields of a row that stand otherwise in Copernica and would be written.
func (it *intent) changes(seen *standing) []mapping.Side {
	return slices.DeleteFunc(it.row.Sides(seen.fields), func(side mapping.Side) bool {
		return side.Same || side.Consent && !it.sendConsent || !side.Consent && !it.sendContent
	})
}

// errRehearsal answers a write that should never be asked for.
var errRehearsal = errors.New("a preview writes nothing")

// stage is a database that a rehearsal reads. It knows the rows that are imagined.
type stage struct{ Database }

func (s stage) Upsert(context.Context, copernica.KeyField, string, map[string]string) (copernica.Upserted, error) {
	return copernica.Upserted{}, errRehearsal
}

func (s stage) Update(context.Context, int64, map[string]string) error { return errRehearsal }

func (s stage) Remove(context.Context, int64, bool) error { return errRehearsal }

// Refresh gives the schema as it was read: no write depends on it.
func (s stage) Refresh(context.Context) (copernica.Schema, error) { return s.Schema(), nil }

// Live takes imagined profiles as living.
func (s stage) Live(ctx context.Context, ids []int64) ([]int64, error) {
	imagined := slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return id > 0 })
	real := slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return id < 0 })
	var live []int64
	if len(real) > 0 {
		var err error
		if live, err = s.Database.Live(ctx, real); err != nil {
			return nil, err
		}
	}
	slices.Sort(imagined)
	return append(slices.Compact(imagined), live...), nil
}

// script is a store that a rehearsal reads. What is written to it lasts as long as the
// rehearsal and is seen by it alone. It is used by one run at a time, whose reader and
// committer share it.
type script struct {
	state.Store
	now func() time.Time

	mu          sync.Mutex
	checkpoints map[string]state.Checkpoint
	profiles    map[string]imagined
	emails      map[state.Hash][]state.Email
	altered     map[state.RecordRef]state.Record // rows as a repair would make them
	stones      map[state.Hash]time.Time         // kept outside the state
	adopting    bool
}

// imagined is what a rehearsal must remember of a profile.
type imagined struct {
	id, source int64
	updated    time.Time
	hash       state.Hash
	state      state.RecordState
}

func newScript(s state.Store, now func() time.Time) *script {
	return &script{
		Store: s, now: now,
		checkpoints: map[string]state.Checkpoint{}, profiles: map[string]imagined{}, emails: map[state.Hash][]state.Email{},
		altered: map[state.RecordRef]state.Record{}, stones: map[state.Hash]time.Time{},
	}
}

// OpenPipeline compares a pipeline with the one that is open, and opens none.
func (s *script) OpenPipeline(ctx context.Context, p state.Pipeline) (state.Pipeline, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.Pipelines(ctx)
	if err != nil {
		return p, err
	}
	for _, have := range all {
		if have.Name != p.Name {
			continue
		}
		if p.Target != "" && have.Target != "" && p.Target != have.Target {
			return p, &state.TargetError{Pipeline: p.Name, Have: have.Target, Want: p.Target}
		}
		p = have
	}
	p.Adopting = p.Adopting || s.adopting
	return p, nil
}

func (s *script) Acquire(_ context.Context, pipeline, holder string, _ time.Duration) (state.Lease, error) {
	return state.Lease{Pipeline: pipeline, Holder: holder, Expires: s.now().AddDate(100, 0, 0)}, nil
}

func (s *script) Renew(_ context.Context, l state.Lease, _ time.Duration) (state.Lease, error) {
	return l, nil
}

func (s *script) Release(context.Context, state.Lease) error { return nil }

func (s *script) Checkpoint(ctx context.Context, pipeline, stream string) (state.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cp, ok := s.checkpoints[stream]; ok {
		return cp, nil
	}
	return s.Store.Checkpoint(ctx, pipeline, stream)
}

func (s *script) Records(ctx context.Context, pipeline string, e state.Entity, keys []string) (map[string]state.Record, error) {
	found, err := s.Store.Records(ctx, pipeline, e, keys)
	if err != nil {
		return found, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if rec, ok := s.altered[state.RecordRef{Entity: e, Key: key}]; ok {
			found[key] = rec
		}
	}
	if e != state.Profile {
		return found, nil
	}
	for _, key := range keys {
		if p, ok := s.profiles[key]; ok {
			rec := found[key]
			rec.Entity, rec.Key, rec.SourceID, rec.CopernicaID = e, key, p.source, p.id
			rec.SourceUpdatedAt, rec.Hash, rec.State = p.updated, p.hash, p.state
			found[key] = rec
		}
	}
	return found, nil
}

func (s *script) RecordsBySource(ctx context.Context, pipeline string, e state.Entity, ids []int64) ([]state.Record, error) {
	found, err := s.Store.RecordsBySource(ctx, pipeline, e, ids)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range found {
		if rec, ok := s.altered[state.RecordRef{Entity: e, Key: found[i].Key}]; ok {
			found[i] = rec
		}
	}
	return found, err
}

// AddTombstones remembers what is kept outside the state.
func (s *script) AddTombstones(_ context.Context, _ string, stones []state.Tombstone) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stone := range stones {
		s.stones[stone.Person] = stone.At
	}
	return nil
}

func (s *script) Tombstones(ctx context.Context, pipeline string, persons []state.Hash) (map[state.Hash]time.Time, error) {
	found, err := s.Store.Tombstones(ctx, pipeline, persons)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, person := range persons {
		if at, ok := s.stones[person]; ok && at.After(found[person]) {
			found[person] = at
		}
	}
	return found, nil
}

// alter has rows read as a repair would leave them, until it is called again.
func (s *script) alter(rows []state.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.altered)
	for _, rec := range rows {
		s.altered[state.RecordRef{Entity: rec.Entity, Key: rec.Key}] = rec
	}
}

func (s *script) Emails(ctx context.Context, pipeline string, hashes []state.Hash) (map[state.Hash][]state.Email, error) {
	found, err := s.Store.Emails(ctx, pipeline, hashes)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range hashes {
		for _, e := range s.emails[h] {
			if !slices.Contains(found[h], e) {
				found[h] = append(found[h], e)
			}
		}
	}
	return found, nil
}

func (s *script) Plan(context.Context, state.Lease, []state.Record) error { return nil }

// Commit remembers what later pages, and later streams, depend on.
func (s *script) Commit(_ context.Context, _ state.Lease, c state.Commit) (state.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rec := range c.Records {
		if rec.Entity == state.Profile {
			s.profiles[rec.Key] = imagined{rec.CopernicaID, rec.SourceID, rec.SourceUpdatedAt, rec.Hash, rec.State}
		}
	}
	for _, e := range c.Emails {
		s.emails[e.Hash] = append(s.emails[e.Hash], e)
	}
	s.adopting = s.adopting || c.Adopting
	if c.Checkpoint == nil {
		return state.Checkpoint{}, nil
	}
	cp := *c.Checkpoint
	cp.Version++
	s.checkpoints[cp.Stream] = cp
	return cp, nil
}

func (s *script) StartRun(context.Context, state.Run) (int64, error) { return 1, nil }
func (s *script) SaveRun(context.Context, state.Run) error           { return nil }
func (s *script) PruneRuns(context.Context, string, time.Time, int) (int64, error) {
	return 0, nil
}
func (s *script) SetMark(context.Context, string, time.Time) error { return nil }

func (s *script) EndResync(context.Context, string, int64, state.ResyncState) error { return nil }
