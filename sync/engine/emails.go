package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// The state keeps keyed hashes of the customers' e-mails by website. A guest's order finds
// the customer behind its e-mail by them (promise 17). And a list of customers tells
// is_subscribed by e-mail alone, over all websites, so that two customers with one e-mail
// get one row's answer (magento-rest.md, fact 2): a customer whose e-mail is known on
// another website is read singly.

// learn reads the names behind ids at a run's first record, and again when known says
// that a record carries an id that has none.
func (r *run) learn(ctx context.Context, known func(*mapping.Lookups) bool) error {
	if r.lookups != nil && known(r.lookups) {
		return nil
	}
	stores, err := r.cfg.Shop.Stores(ctx)
	if err != nil {
		return err
	}
	groups, err := r.cfg.Shop.Groups(ctx)
	if err != nil {
		return err
	}
	r.lookups = mapping.NewLookups(stores, groups)
	r.websites = 0
	for _, w := range stores.Websites {
		if w.ID != 0 { // the back end's own
			r.websites++
		}
	}
	return nil
}

// scanEmails runs once in a state's life, and is resumed where it was cut short:
// before the first write it collects every e-mail, so that the first of two
// customers with one e-mail is already known to be one of two.
func (r *run) scanEmails(ctx context.Context) error {
	cp, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, emailScan)
	if err != nil || !cp.Horizon.IsZero() {
		return err
	}
	cp.Pipeline, cp.Stream = r.cfg.Pipeline, emailScan
	began := r.cfg.Now().UTC().Truncate(time.Second)
	var read, total int64
	for got, err := range r.cfg.Shop.Emails(ctx, magento.EmailQuery{After: cp.Position.ID}) {
		if err != nil {
			return err
		}
		read += int64(len(got.Items))
		total = max(total, int64(got.Total))
		r.cfg.Progress(Progress{Stream: emailScan, Read: read, Total: total})
		cp.Position.ID = got.Next.ID
		if got.Last {
			cp.Position, cp.Horizon = state.Position{}, began
		}
		commit := state.Commit{Checkpoint: &cp}
		for _, item := range got.Items {
			if item.Err == nil && !r.anonymised(item.Value.Email) {
				commit.Emails = append(commit.Emails, r.email(item.ID, item.Value.WebsiteID, item.Value.Email, item.Value.Confirmed))
			}
		}
		if cp, err = r.cfg.Store.Commit(ctx, r.tenure.current(), commit); err != nil {
			return err
		}
		r.cfg.TestHook(PointScanned)
		if !got.Last && r.spent(0) {
			return errSpent
		}
	}
	return nil
}

// email is the ledger's row of a customer's e-mail. One with accents proves nobody: the
// shop takes it for the same without them, and its mailbox may be another.
func (r *run) email(id, website int64, address string, confirmed bool) state.Email {
	return state.Email{
		Hash: r.emailHash(address), Key: r.cfg.Mapping.CustomerKey(id), Website: website, Claims: confirmed && plain(address),
	}
}

func (r *run) emailHash(address string) state.Hash {
	return EmailHash(r.cfg.Persons, mapping.PersonOf(mapping.FoldEmail(address)))
}

// plain reports whether an e-mail is one with itself only: whoever has the same hash has
// the same mailbox.
func plain(address string) bool {
	return strings.TrimSpace(address) != "" && mapping.PersonOf(address) == mapping.PersonOf(mapping.FoldEmail(address))
}

// emails notes the e-mails of a page's customers, and replaces what a list said of
// is_subscribed by a single read for each whose e-mail is known on another website. A
// customer that is gone by then is left as the list had it; finding deletions is
// reconciliation's task.
func (r *run) emails(ctx context.Context, p *page, items []magento.Item[magento.Customer]) (*accounts, error) {
	a := &accounts{mine: make([]state.Email, len(items))}
	var hashes []state.Hash
	here := map[string]bool{}
	for i := range items {
		if c := &items[i]; c.Err == nil {
			a.mine[i] = r.email(c.ID, c.Value.WebsiteID, c.Value.Email, c.Value.Confirmation == "")
			here[a.mine[i].Key] = true
			hashes = append(hashes, a.mine[i].Hash)
		}
	}
	var err error
	if a.known, err = r.cfg.Store.Emails(ctx, r.cfg.Pipeline, hashes); err != nil {
		return nil, err
	}
	for _, e := range a.mine {
		if e.Key != "" && !slices.Contains(a.known[e.Hash], e) {
			p.emails = append(p.emails, e)
		}
	}
	for hash, known := range a.known {
		a.known[hash] = slices.DeleteFunc(known, func(e state.Email) bool { return here[e.Key] })
	}
	for _, e := range a.mine {
		a.known[e.Hash] = append(a.known[e.Hash], e)
	}
	if r.websites < 2 {
		return a, nil
	}
	return a, r.exactConsent(ctx, items, func(i int) bool {
		return slices.ContainsFunc(a.known[a.mine[i].Hash], elsewhere(a.mine[i]))
	})
}

// elsewhere reports whether an e-mail is of another customer, on another website.
func elsewhere(mine state.Email) func(state.Email) bool {
	return func(e state.Email) bool { return e.Key != mine.Key && e.Website != mine.Website }
}

// sharedEmails tells which customers have an e-mail that is known on another website. In a
// shop with one website, which needed no e-mail scan, nobody does.
func (r *run) sharedEmails(ctx context.Context, keys []string) (map[string]bool, error) {
	scan, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, emailScan)
	if err != nil || scan.Horizon.IsZero() {
		return nil, err
	}
	mine, err := r.cfg.Store.EmailsOf(ctx, r.cfg.Pipeline, keys)
	if err != nil {
		return nil, err
	}
	hashes := make([]state.Hash, 0, len(mine))
	for _, e := range mine {
		hashes = append(hashes, e.Hash)
	}
	known, err := r.cfg.Store.Emails(ctx, r.cfg.Pipeline, hashes)
	if err != nil {
		return nil, err
	}
	shared := map[string]bool{}
	for key, e := range mine {
		shared[key] = slices.ContainsFunc(known[e.Hash], elsewhere(e))
	}
	return shared, nil
}

// exactConsent reads those customers singly whose e-mail is shared.
func (r *run) exactConsent(ctx context.Context, items []magento.Item[magento.Customer], shared func(int) bool) error {
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(r.cfg.Reads)
	for i := range items {
		if items[i].Err != nil || !shared(i) {
			continue
		}
		reads.Go(func() error {
			c, err := r.cfg.Shop.Customer(ctx, items[i].ID, r.cfg.Mapping.Paths())
			if errors.Is(err, magento.ErrNotFound) {
				return nil
			}
			if e, ok := errors.AsType[*magento.RecordError](err); ok {
				items[i].Err = e // the list's word is not enough
				return nil
			}
			if err == nil {
				items[i].Value.Subscribed = c.Subscribed
			}
			return err
		})
	}
	return reads.Wait()
}
