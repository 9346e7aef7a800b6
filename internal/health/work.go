package health

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Work counts what the streams did since this process began. It is safe for
// concurrent use.
type Work struct {
	mu      sync.Mutex
	streams map[string]*streamWork
}

// Ran is what one run did.
type Ran struct {
	Stream  string
	Outcome string // one of those given to Work.Begin
	Took    time.Duration

	Read, Created, Updated, Refused, Unknown, OptOutsKept, OptOutsWithoutRecord, Claimed, Erased, Ownerless int64
}

// streamWork is the sum of a stream's runs.
type streamWork struct {
	outcomes map[string]int64
	took     time.Duration
	sum      Ran
}

// Begin makes a stream's counters known at zero, so that their first increase is
// seen as one.
func (w *Work) Begin(stream string, outcomes ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stream(stream)
	for _, outcome := range outcomes {
		s.outcomes[outcome] += 0
	}
}

// Ran counts a run.
func (w *Work) Ran(r Ran) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stream(r.Stream)
	s.outcomes[r.Outcome]++
	s.took += max(r.Took, 0)
	s.sum.Read += r.Read
	s.sum.Created += r.Created
	s.sum.Updated += r.Updated
	s.sum.Refused += r.Refused
	s.sum.Unknown += r.Unknown
	s.sum.OptOutsKept += r.OptOutsKept
	s.sum.OptOutsWithoutRecord += r.OptOutsWithoutRecord
	s.sum.Claimed += r.Claimed
	s.sum.Erased += r.Erased
	s.sum.Ownerless += r.Ownerless
}

func (w *Work) stream(name string) *streamWork {
	if w.streams[name] == nil {
		w.streams[name] = &streamWork{outcomes: map[string]int64{}}
	}
	return w.streams[name]
}

func (w *Work) families() []*family {
	runs := counter("syncd_runs_total", "Runs by outcome: done, paused, failed, stopped; held when another process wrote, not_started when the state was out of reach.")
	took := counter("syncd_run_seconds_total", "Time that runs took.")
	read := counter("syncd_records_read_total", "Records read from the shop.")
	written := counter("syncd_rows_written_total", "Rows written to Copernica by action.")
	refused := counter("syncd_records_refused_total", "Records that became dead letters, or did so again.")
	unknown := counter("syncd_writes_unknown_total", "Writes that had no outcome when their page was committed; they are looked up later.")
	optOuts := counter("syncd_opt_outs_kept_total", "Times that consent was not sent because Copernica holds an opt-out.")
	recordless := counter("syncd_opt_outs_without_record_total", "Opt-outs made in Copernica by people of whom the shop has no record, such as guests.")
	claimed := counter("syncd_guests_claimed_total", "Guests who turned out to be customers.")
	erased := counter("syncd_people_erased_total", "People who were erased, since they are gone from the shop.")
	ownerless := counter("syncd_orders_ownerless_total", "Orders without a profile, since their account was deleted, each time they were read.")

	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(w.streams)) {
		s := w.streams[name]
		for outcome, n := range s.outcomes {
			runs.add(float64(n), "stream", name, "outcome", outcome)
		}
		took.add(s.took.Seconds(), "stream", name)
		read.add(float64(s.sum.Read), "stream", name)
		written.add(float64(s.sum.Created), "stream", name, "action", "created")
		written.add(float64(s.sum.Updated), "stream", name, "action", "updated")
		refused.add(float64(s.sum.Refused), "stream", name)
		unknown.add(float64(s.sum.Unknown), "stream", name)
		optOuts.add(float64(s.sum.OptOutsKept), "stream", name)
		recordless.add(float64(s.sum.OptOutsWithoutRecord), "stream", name)
		claimed.add(float64(s.sum.Claimed), "stream", name)
		erased.add(float64(s.sum.Erased), "stream", name)
		ownerless.add(float64(s.sum.Ownerless), "stream", name)
	}
	return []*family{runs, took, read, written, refused, unknown, optOuts, recordless, claimed, erased, ownerless}
}
