package engine

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/state"
)

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
	moves       map[string]string                // where what stood below a profile stands
	elsewhere   map[state.RecordRef]state.Record // rows that moved one by one
	adopting    bool
}

// imagined is what a rehearsal must remember of a profile.
type imagined struct {
	id, source int64
	updated    time.Time
	hash       state.Hash
	state      state.RecordState
	parent     string
}

func newScript(s state.Store, now func() time.Time) *script {
	return &script{
		Store: s, now: now,
		checkpoints: map[string]state.Checkpoint{}, profiles: map[string]imagined{}, emails: map[state.Hash][]state.Email{},
		altered: map[state.RecordRef]state.Record{}, stones: map[state.Hash]time.Time{}, moves: map[string]string{}, elsewhere: map[state.RecordRef]state.Record{},
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
		for key, rec := range found {
			found[key] = s.moved(rec)
		}
		return found, nil
	}
	for _, key := range keys {
		if p, ok := s.profiles[key]; ok {
			found[key] = p.of(key, found[key])
		}
	}
	return found, nil
}

// of is the row of a profile as it is imagined.
func (p imagined) of(key string, rec state.Record) state.Record {
	rec.Entity, rec.Key, rec.SourceID, rec.CopernicaID = state.Profile, key, p.source, p.id
	rec.SourceUpdatedAt, rec.Hash, rec.State, rec.Parent = p.updated, p.hash, p.state, p.parent
	return rec
}

// move remembers a row that is imagined to stand below another profile.
func (s *script) move(rec state.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.elsewhere[state.RecordRef{Entity: rec.Entity, Key: rec.Key}] = rec
}

// moved is a row below the profile that it is imagined to stand below.
func (s *script) moved(rec state.Record) state.Record {
	if now, ok := s.elsewhere[state.RecordRef{Entity: rec.Entity, Key: rec.Key}]; ok {
		rec = now
	}
	for range len(s.moves) {
		to, ok := s.moves[rec.Parent]
		if !ok {
			break
		}
		rec.Parent = to
	}
	return rec
}

// Claims knows of the claims that are imagined.
func (s *script) Claims(ctx context.Context, pipeline string, open bool, after string, limit int) ([]state.Record, error) {
	var all []state.Record
	for at := after; ; {
		some, err := s.Store.Claims(ctx, pipeline, open, at, rowsAtOnce)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < rowsAtOnce {
			break
		}
		at = some[len(some)-1].Key
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all = slices.DeleteFunc(all, func(rec state.Record) bool { _, ok := s.profiles[rec.Key]; return ok })
	for key, p := range s.profiles {
		if p.state == state.Claimed && key > after && (p.id != 0 || !open) {
			all = append(all, p.of(key, state.Record{}))
		}
	}
	slices.SortFunc(all, func(a, b state.Record) int { return strings.Compare(a.Key, b.Key) })
	return all[:min(len(all), max(limit, 0))], nil
}

// ClaimsOf does so as well.
func (s *script) ClaimsOf(ctx context.Context, pipeline string, parents []string) ([]state.Record, error) {
	all, err := s.Store.ClaimsOf(ctx, pipeline, parents)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all = slices.DeleteFunc(all, func(rec state.Record) bool { _, ok := s.profiles[rec.Key]; return ok })
	for key, p := range s.profiles {
		if p.state == state.Claimed && slices.Contains(parents, p.parent) {
			all = append(all, p.of(key, state.Record{}))
		}
	}
	return all, nil
}

func (s *script) RecordsBySource(ctx context.Context, pipeline string, e state.Entity, ids []int64) ([]state.Record, error) {
	found, err := s.Store.RecordsBySource(ctx, pipeline, e, ids)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range found {
		if rec, ok := s.altered[state.RecordRef{Entity: e, Key: found[i].Key}]; ok {
			found[i] = rec
		}
		if e != state.Profile {
			found[i] = s.moved(found[i])
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
			s.profiles[rec.Key] = imagined{rec.CopernicaID, rec.SourceID, rec.SourceUpdatedAt, rec.Hash, rec.State, rec.Parent}
		}
	}
	for _, m := range c.Moves {
		if m.From != m.To {
			s.moves[m.From] = m.To
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

// AddResync records nothing: what a run asks for, its rehearsal does not.
func (s *script) AddResync(context.Context, state.Resync) (int64, error) { return 0, nil }

func (s *script) EndResync(context.Context, string, int64, state.ResyncState) error { return nil }
