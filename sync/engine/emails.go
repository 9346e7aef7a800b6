package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// A list of customers tells is_subscribed by e-mail alone, over all websites; two
// customers with one e-mail get one row's answer (magento-rest.md, fact 2). So the
// state keeps keyed hashes of e-mails by website, and a customer whose e-mail is
// known on another website is read singly. A shop with one website needs none of it.

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
			if item.Err == nil {
				commit.Emails = append(commit.Emails, r.email(item.ID, item.Value.WebsiteID, item.Value.Email))
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

func (r *run) email(id, website int64, address string) state.Email {
	return state.Email{
		Hash: r.hasher.Sum("email", mapping.FoldEmail(address)),
		Key:  r.cfg.Mapping.CustomerKey(id), Website: website,
	}
}

// exactConsent replaces what a list said of is_subscribed by a single read for each
// customer whose e-mail is known on another website. A customer that is gone by
// then is left as the list had it; finding deletions is reconciliation's task.
func (r *run) exactConsent(ctx context.Context, p *page, items []magento.Item[magento.Customer]) error {
	if r.websites < 2 {
		return nil
	}
	var hashes []state.Hash
	owners := map[state.Hash][]state.Email{}
	mine := make([]state.Email, len(items))
	for i := range items {
		if items[i].Err != nil {
			continue
		}
		e := r.email(items[i].ID, items[i].Value.WebsiteID, items[i].Value.Email)
		mine[i] = e
		hashes = append(hashes, e.Hash)
		owners[e.Hash] = append(owners[e.Hash], e)
	}
	p.emails = slices.DeleteFunc(slices.Clone(mine), func(e state.Email) bool { return e.Key == "" })
	known, err := r.cfg.Store.Emails(ctx, r.cfg.Pipeline, hashes)
	if err != nil {
		return err
	}
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(r.cfg.Reads)
	for i := range items {
		elsewhere := func(e state.Email) bool { return e.Key != mine[i].Key && e.Website != mine[i].Website }
		if items[i].Err != nil || !slices.ContainsFunc(known[mine[i].Hash], elsewhere) && !slices.ContainsFunc(owners[mine[i].Hash], elsewhere) {
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
