package engine

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/state"
)

// The profiles tell of an opt-out only where the database's unsubscribe behaviour writes
// the consent field. What is always told, and with its time, is a list of Copernica's own:
// who unsubscribed from a mailing (promise 18).

// listOverlap is how much of a list is read again: an entry may show later than its time.
const listOverlap = 2 * time.Hour

// firstLook is how long before the pipeline was opened the lists are read from, so that a
// state that was lost and made anew misses nothing that the lost one had yet to settle.
const firstLook = 24 * time.Hour

// listStream names the checkpoint of a list: its horizon is when it was last read whole
// and everything in it was settled.
func listStream(list copernica.UnsubscribeList) string { return Unsubscribes + "/" + string(list) }

// openedMark names the mark of when a pipeline was opened.
func openedMark(pipeline string) string { return "opened/" + pipeline }

// readLists settles what the dated lists tell since they were last read. Whatever is wrong
// with one does not keep the rest from being done.
func (r *run) readLists(ctx context.Context) error {
	_, err := r.outAgain(ctx)
	if ctx.Err() != nil || isFenced(err) {
		return err
	}
	errs := []error{err}
	for _, list := range copernica.UnsubscribeLists() {
		err := r.readList(ctx, list)
		if ctx.Err() != nil || isFenced(err) {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (r *run) readList(ctx context.Context, list copernica.UnsubscribeList) error {
	cp, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, listStream(list))
	if err != nil {
		return err
	}
	cp.Pipeline, cp.Stream = r.cfg.Pipeline, listStream(list)
	began := r.lookFrom()
	if r.ahead(cp.Horizon) {
		r.tellAhead(cp.Stream, cp.Horizon)
	}
	if cp.Version == 0 || r.ahead(cp.Horizon) {
		// Kept from the first look on, also by an account without the list.
		if cp.Horizon, err = r.firstHorizon(ctx, began); err != nil {
			return err
		}
		if cp, err = r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Checkpoint: &cp}); err != nil {
			return err
		}
	}
	for entries, err := range r.writer.db.Unsubscribes(ctx, list, cp.Horizon.Add(-listOverlap)) {
		if errors.Is(err, copernica.ErrNoList) || errors.Is(err, copernica.ErrNoDestinations) {
			r.noRight(list, err)
			return nil // with the place kept: what is not told now may be one day
		}
		if err != nil {
			return err
		}
		if err := r.settleEntries(ctx, list, entries); err != nil {
			return err
		}
	}
	if r.passedOver {
		return nil // the next look begins where this one did
	}
	cp.Horizon = began
	_, err = r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Checkpoint: &cp})
	return err
}

// firstHorizon is where a list is read from whose place nobody knows, at a time: what was
// settled since the pipeline was opened is no event again.
func (r *run) firstHorizon(ctx context.Context, now time.Time) (time.Time, error) {
	opened, err := r.cfg.Store.Mark(ctx, openedMark(r.cfg.Pipeline))
	if opened.IsZero() || opened.After(now) {
		opened = now
	}
	return opened.Add(listOverlap - firstLook).UTC().Truncate(time.Second), err
}

// noRight says once that an account does not give a list, or not whom some of it is about.
func (r *run) noRight(list copernica.UnsubscribeList, err error) {
	if _, told := r.cfg.told.LoadOrStore(list, true); told {
		return
	}
	if errors.Is(err, copernica.ErrNoDestinations) {
		r.cfg.Log.Warn("Copernica gives its list of who unsubscribed, but not the destinations that tell who they are: give the access token the right to them, "+
			"or let the unsubscribe behaviour of the database update the consent field", "list", string(list), "error", err)
		return
	}
	r.cfg.Log.Warn("Copernica does not give one of its two lists of who unsubscribed, so opt-outs from those mailings are seen in the profiles alone: "+
		"give the access token the right to it, or let the unsubscribe behaviour of the database update the consent field", "list", string(list), "error", err)
}

// settleEntries settles some entries of a list: each person is out on both sides, and the
// ledger knows since when, but for who came back in the shop after that. A row with a write
// that has no outcome yet is no exception: consent is decided anew when it has one, by what
// the shop then says.
func (r *run) settleEntries(ctx context.Context, list copernica.UnsubscribeList, entries []copernica.Unsubscribe) error {
	var profiles []int64
	nobodys := 0
	for _, u := range entries {
		if u.Profile == 0 || u.At.IsZero() {
			nobodys++
			continue
		}
		profiles = append(profiles, u.Profile)
	}
	whose, doubles, err := r.whoseAre(ctx, profiles)
	if err != nil {
		return err
	}
	var people []clicked
	place := map[string]int{} // in people
	for _, u := range entries {
		for _, rec := range whose[u.Profile] {
			switch i, twice := place[rec.Key]; {
			case u.At.IsZero(), !u.Later(rec.UnsubscribedAt):
			case !twice:
				place[rec.Key] = len(people)
				people = append(people, clicked{rec: rec, at: u.At, source: string(list), doubles: doubles[u.Profile]})
			default:
				people[i].at = laterOf(people[i].at, u.At)
				people[i].doubles = append(people[i].doubles, doubles[u.Profile]...)
			}
		}
	}
	if nobodys > 0 {
		r.cfg.Log.Warn("Copernica lists who unsubscribed without saying who or when: look for them in its statistics", "list", string(list), "entries", nobodys)
	}
	r.row.Counters.Read += int64(len(people))
	if people, err = r.passOver(ctx, list, people); err != nil {
		return err
	}
	_, err = r.settleOptOuts(ctx, people)
	return err
}

// clicked is somebody who unsubscribed, by a list or by a profile that is not the ledger's.
type clicked struct {
	rec     state.Record
	at      time.Time
	source  string         // that told
	doubles []state.Double // the profiles with their key that did, other than the ledger's
	inShop  bool           // whether the shop has a record of them, once they are settled
}

// whoseAre returns the ledger rows of the persons of profiles, by those; of one who was
// claimed, and whose profile is about to go, that of who they are. Profiles that have a
// person's key and are not the ledger's are doubles.
func (r *run) whoseAre(ctx context.Context, profiles []int64) (map[int64][]state.Record, map[int64][]state.Double, error) {
	if len(profiles) == 0 {
		return nil, nil, nil
	}
	found, err := r.cfg.Store.RecordsByCopernicaID(ctx, r.cfg.Pipeline, state.Profile, profiles...)
	if err != nil {
		return nil, nil, err
	}
	keys := map[int64][]string{} // by the profile that has them
	for _, f := range found {
		keys[f.CopernicaID] = append(keys[f.CopernicaID], f.Key)
	}
	doubles, err := r.doublesAmong(ctx, slices.DeleteFunc(slices.Clone(profiles), func(id int64) bool { return keys[id] != nil }))
	if err != nil {
		return nil, nil, err
	}
	for id, some := range doubles {
		for _, d := range some {
			keys[id] = append(keys[id], d.Key)
		}
	}
	if len(keys) == 0 {
		return nil, nil, nil
	}
	rows, whose, err := r.behind(ctx, slices.Concat(slices.Collect(maps.Values(keys))...))
	if err != nil {
		return nil, nil, err
	}
	people := map[int64][]state.Record{}
	for id, some := range keys {
		for _, key := range some {
			if rec, ok := rows[cmp.Or(whose[key], key)]; ok && rec.State != state.Claimed {
				people[id] = append(people[id], rec)
			}
		}
	}
	return people, doubles, r.early(ctx, doubles, rows)
}

// settleOptOuts takes people out on both sides and notes it, some at a time. What fails
// with one is no matter of the others. It returns the keys of those whom one of the sides
// does not let go.
func (r *run) settleOptOuts(ctx context.Context, people []clicked) (refused []string, err error) {
	var (
		mu     sync.Mutex
		commit = state.Commit{Run: &r.row}
		mended []string
		errs   []error
		group  errgroup.Group
	)
	group.SetLimit(r.cfg.Reads)
	for _, p := range people {
		group.Go(func() error {
			known := r.knownOut(&p.rec)
			letter, told, err := r.takeOut(ctx, &p)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				errs = append(errs, err)
				return nil
			case letter != nil:
				commit.Letters = append(commit.Letters, *letter)
				refused = append(refused, p.rec.Key)
				r.row.Counters.Refused++
			default:
				mended = append(mended, p.rec.Key)
			}
			if told && !known {
				r.settled(p.inShop)
				commit.OptOuts = append(commit.OptOuts, state.OptOut{Key: p.rec.Key, Source: p.source, At: p.at, SettledAt: r.cfg.Now()})
			}
			if told {
				commit.Doubles = append(commit.Doubles, p.doubles...)
			}
			commit.Records = append(commit.Records, p.rec)
			return nil
		})
	}
	_ = group.Wait()
	r.count()
	saving, cancel := r.recording(ctx)
	defer cancel()
	_, err = r.cfg.Store.Commit(saving, r.tenure.current(), commit)
	if err == nil {
		err = r.closeLetters(saving, mended)
	}
	return refused, errors.Join(append(errs, err)...)
}

// knownOut reports whether the ledger has it that a person is out on both sides.
func (r *run) knownOut(rec *state.Record) bool {
	values := r.cfg.Mapping.Consent()
	return rec.ConsentSource == r.writer.hashConsent(values.Out) && rec.ConsentWritten != r.writer.hashConsent(values.In)
}

// takeOut has both sides say that somebody is out, the profile first: what the shop then
// refuses shows there. Whatever fails with the profile, the shop is told. The ledger row it
// leaves says so, and since when, which makes the entry no event again. A letter is what one
// of the sides refuses; where both do, or one fails for now, the entry is looked at again.
func (r *run) takeOut(ctx context.Context, p *clicked) (letter *state.DeadLetter, told bool, err error) {
	profile, unwritten := r.writer.optOut(ctx, &p.rec)
	if ctx.Err() != nil || isFenced(unwritten) {
		return nil, false, unwritten
	}
	seen, err := r.unsubscribe(ctx, &p.rec)
	others := false
	if err == nil && profile != nil {
		others, err = r.unsubscribeOthers(ctx, &p.rec, profile.fields[r.cfg.Mapping.EmailField()])
	}
	p.inShop = seen || others
	if unwritten != nil && (err != nil || !refusal(unwritten)) || err != nil && !refusal(err) {
		return nil, false, errors.Join(unwritten, err)
	}
	p.rec.UnsubscribedAt = r.noLater(p.at)
	if err != nil {
		letter := r.refusedBack(&p.rec, err)
		return &letter, false, nil
	}
	r.noteOut(&p.rec, seen)
	switch {
	case profile != nil:
		p.rec.ConsentWritten = r.writer.hashConsent(profile.fields[r.writer.consent])
	case usable(p.rec) == 0 && len(p.doubles) > 0: // it is adopted one day, as settled
		p.rec.ConsentWritten = p.doubles[0].Consent
	}
	if unwritten != nil {
		letter := r.staysIn(&p.rec, unwritten)
		return &letter, true, nil
	}
	return nil, true, nil
}
