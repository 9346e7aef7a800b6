package engine

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// Several rows in Copernica can have one key: nothing there forbids it, and a write by
// key reaches all of them. So one of them is chosen and written by its id, the others
// are never written to, and a person clears them away.

// Double is one of several rows with the same key.
type Double struct {
	ID       int64
	OptedOut bool // of a profile: it shows an opt-out
}

// Choose names the one of several rows with a key that is written to: the one that the
// ledger has, ours, when it is among them; else, of profiles, the oldest that shows an
// opt-out; else the oldest. Ids only grow at Copernica. It returns 0 when there is none.
func Choose(rows []Double, ours int64) int64 {
	if len(rows) == 0 {
		return 0
	}
	rank := func(d Double) int {
		switch {
		case d.ID == ours:
			return 0
		case d.OptedOut:
			return 1
		default:
			return 2
		}
	}
	return slices.MinFunc(rows, func(a, b Double) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID)) }).ID
}

// choose returns the row of an intent among those with its key, or nil when there is
// none. What the ledger's own row shows may be our word; what any other shows is not, but
// the shop may have heard of it.
func (w *writer) choose(ctx context.Context, it *intent, found []standing, ours int64) (*standing, error) {
	var rows []Double
	foreign := false
	settled := map[int64]state.Hash{}
	if len(found) > 1 && it.sendConsent && it.row.OptIn {
		var err error
		if settled, err = settledDoubles(ctx, w.cfg, it.row.Key); err != nil {
			return nil, err
		}
	}
	for _, row := range found {
		out := it.entity == state.Profile && w.cfg.Mapping.Consent().OptedOut(row.fields[w.consent])
		rows = append(rows, Double{row.id, out})
		foreign = foreign || out && row.id != ours && settled[row.id] != w.hashConsent(row.fields[w.consent])
	}
	id := Choose(rows, ours)
	var chosen *standing
	var others []int64
	for i := range found {
		if found[i].id == id {
			chosen = &found[i]
		} else {
			others = append(others, found[i].id)
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		chosen.others, chosen.optedOut = others, foreign
		it.doubles = others
		w.doubles.note(it, chosen)
	}
	return chosen, nil
}

// seen are the doubles that were found when the intent's row was last looked up by its key.
func (it *intent) seen(now time.Time) []state.Double {
	all := make([]state.Double, len(it.doubles))
	for i, id := range it.doubles {
		all[i] = state.Double{Entity: it.entity, Key: it.row.Key, CopernicaID: id, SeenAt: now}
	}
	return all
}

// doubles gathers the keys that a run found more than once. It is safe for concurrent use.
type doubles struct {
	mu    sync.Mutex
	found map[state.RecordRef]string // what is told of each
}

func (d *doubles) note(it *intent, chosen *standing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.found == nil {
		d.found = map[state.RecordRef]string{}
	}
	d.found[state.RecordRef{Entity: it.entity, Key: it.row.Key}] = fmt.Sprintf("%s %d, not %s", it.row.Key, chosen.id, strings.Trim(fmt.Sprint(chosen.others), "[]"))
}

// doublesTold is how many keys with doubles a run names.
const doublesTold = 10

// tell says once what a run found.
func (d *doubles) tell(log *slog.Logger) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.found) == 0 {
		return
	}
	var all []string
	for _, one := range d.found {
		all = append(all, one)
	}
	slices.Sort(all)
	log.Warn("rows in Copernica have the same key: one of each is written to, by its id, and the others never; syncd lookup KEY --live says what to do",
		"keys", len(all), "first", strings.Join(all[:min(len(all), doublesTold)], "; "))
}
