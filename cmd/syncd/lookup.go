package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// lookupCommand says where a record is, from the state alone or, when asked, from
// both sides.
type lookupCommand struct {
	What string `arg:"" help:"Customer id, order number such as 000000123, e-mail, Copernica profile as p123 or profile:123, or key such as shop-c123, shop-o123, shop-i123."`
	Live bool   `help:"Read the record from the shop and from Copernica too, and show both side by side. Shows personal data."`
	JSON bool   `help:"Print JSON, in the form that docs/status.md describes."`
}

// Help is shown by `syncd lookup --help`.
func (*lookupCommand) Help() string {
	return "Says what the state knows of a record: when it was first seen, whether Copernica has it, under which id, by which run, " +
		"and its dead letters; of an order also its profile and its lines, of a customer or a guest their orders. " +
		"Digits are a customer id, and the number of an order as well; with leading zeros, or written order:NUMBER, they are the number " +
		"alone. An order number is unique within its store only, so several orders may be shown; keys are made of ids, not of order numbers. " +
		"Where several rows in Copernica have the record's key, it says which of them is written to and what to do with the others, which never are: " +
		"as last seen, and with --live as it is now. " +
		"Of a customer it lists the guests who they are, or were said not to be, and the opt-outs made in Copernica that were settled with the shop. " +
		"Of an e-mail it also says when somebody who had it was erased; which customer that was is not kept. " +
		"Guests, and who was erased, are found by their e-mail on websites with ids up to 99. " +
		"Without --live it calls nobody and shows no personal data; an e-mail is only compared by a hash of it. " +
		"Ends with 1 when nothing is known."
}

func (c *lookupCommand) Run(ctx context.Context, a *app) error {
	need := config.NeedState
	if c.Live {
		need |= config.NeedMagento | config.NeedCopernica
	}
	cfg, store, err := a.lookAtState(ctx, need)
	if err != nil {
		return err
	}
	report, err := c.read(ctx, a, cfg, store)
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(report)
	}
	return report.print(a.stdout)
}

func (c *lookupCommand) read(ctx context.Context, a *app, cfg config.Config, store state.Store) (*lookupReport, error) {
	compiled, err := compileMapping(cfg)
	if err != nil {
		return nil, err
	}
	q, err := parseLookup(c.What, compiled)
	if err != nil {
		return nil, err
	}
	o, err := store.Overview(ctx, cfg.Shop)
	if err != nil {
		return nil, err
	}
	finder := &finder{store: store, shop: cfg.Shop, mapping: compiled}
	report := &lookupReport{Shop: cfg.Shop, Target: o.Pipeline.Target, At: a.now().UTC().Truncate(time.Second), By: q.by, unreceipted: len(o.Erased) == 0}
	if report.Records, err = finder.find(ctx, q); err != nil {
		return nil, err
	}
	if report.Tombstones, err = finder.tombstones(ctx, q); err != nil {
		return nil, err
	}
	if c.Live {
		live, err := a.openLive(ctx, cfg, store, o.Pipeline.Target)
		if err != nil {
			return nil, err
		}
		defer live.close()
		if !q.answered(report.Records) {
			guessed, err := live.guess(ctx, finder, q)
			if err != nil {
				return nil, err
			}
			report.Records = append(guessed, report.Records...)
		}
		for _, r := range report.Records {
			if err := live.read(ctx, finder, r); err != nil {
				return nil, err
			}
		}
	}
	if report.Records = slices.DeleteFunc(report.Records, (*lookupRecord).unknown); len(report.Records)+len(report.Tombstones) == 0 {
		return nil, q.nothing(compiled, c.Live)
	}
	return report, nil
}

// finder looks records up in the state.
type finder struct {
	store   state.Store
	shop    string
	mapping *mapping.Mapping
}

// mostWebsites bounds the websites whose guests an e-mail is compared with: the key of
// a guest tells the website.
const mostWebsites = 100

// find returns what the state knows.
func (f *finder) find(ctx context.Context, q lookupQuery) ([]*lookupRecord, error) {
	var refs []state.RecordRef
	profile := func(key string) { refs = append(refs, state.RecordRef{Entity: state.Profile, Key: key}) }
	switch q.by {
	case byProfile:
		rows, err := f.store.RecordsByCopernicaID(ctx, f.shop, state.Profile, q.id)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			profile(row.Key)
		}
		doubles, err := f.store.DoublesByID(ctx, f.shop, state.Profile, q.id)
		if err != nil {
			return nil, err
		}
		for _, d := range doubles {
			profile(d.Key)
		}
	case byEmail:
		persons, err := personsOf(ctx, f.store)
		if err != nil {
			return nil, err
		}
		sum := engine.EmailHash(persons, mapping.PersonOf(mapping.FoldEmail(q.email)))
		owners, err := f.store.Emails(ctx, f.shop, []state.Hash{sum})
		if err != nil {
			return nil, err
		}
		for _, owner := range owners[sum] {
			profile(owner.Key)
		}
		guests, err := f.guests(ctx, q.email)
		if err != nil {
			return nil, err
		}
		for _, key := range guests {
			profile(key)
		}
	default:
		if q.key != "" {
			refs = append(refs, state.RecordRef{Entity: q.entity, Key: q.key})
		}
		rows, err := f.store.RecordsByNumber(ctx, f.shop, q.number)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			refs = append(refs, state.RecordRef{Entity: row.Entity, Key: row.Key})
		}
	}
	var found []*lookupRecord
	for i := 0; i < len(refs); i++ {
		ref := refs[i]
		r, err := f.asked(ctx, ref)
		if err != nil {
			return nil, err
		}
		if r.Ledger != nil || len(r.Letters) > 0 || q.by == byEmail {
			found = append(found, r)
		}
		if r.Claim != nil && !r.Claim.Undone && !slices.ContainsFunc(refs, func(o state.RecordRef) bool { return o.Key == r.Claim.Customer }) {
			profile(r.Claim.Customer) // whose record this guest's is part of
		}
	}
	return found, nil
}

// guests returns the keys of the guests with an e-mail that the ledger knows.
func (f *finder) guests(ctx context.Context, email string) ([]string, error) {
	keys := make([]string, mostWebsites)
	for website := range keys {
		keys[website] = f.mapping.GuestKey(int64(website), email)
	}
	rows, err := f.store.Records(ctx, f.shop, state.Profile, keys)
	return slices.Sorted(maps.Keys(rows)), err
}

// tombstones returns when somebody with an e-mail was erased, by website.
func (f *finder) tombstones(ctx context.Context, q lookupQuery) ([]lookupTombstone, error) {
	stones := []lookupTombstone{}
	if q.by != byEmail {
		return stones, nil
	}
	persons, err := personsOf(ctx, f.store)
	if err != nil {
		return nil, err
	}
	websites := map[state.Hash]int64{}
	var names []state.Hash
	for _, person := range []string{mapping.PersonOf(q.email), mapping.PersonOf(mapping.FoldEmail(q.email))} {
		for website := range int64(mostWebsites) {
			name := engine.PersonStone(persons, website, person)
			websites[name] = website
			names = append(names, name)
		}
	}
	found, err := f.store.Tombstones(ctx, f.shop, names)
	for name, at := range found {
		stones = append(stones, lookupTombstone{websites[name], at.UTC()})
	}
	slices.SortFunc(stones, func(x, y lookupTombstone) int { return cmp.Compare(x.Website, y.Website) })
	return stones, err
}

// tombstoneOf returns when a guest was erased; nil: they were not, or it is no guest's key.
func (f *finder) tombstoneOf(ctx context.Context, key string) (*time.Time, error) {
	website, person, guest := f.mapping.GuestOf(key)
	if !guest {
		return nil, nil //nolint:nilnil // a customer has a receipt
	}
	persons, err := personsOf(ctx, f.store)
	if err != nil {
		return nil, err
	}
	name := engine.PersonStone(persons, website, person)
	found, err := f.store.Tombstones(ctx, f.shop, []state.Hash{name})
	return optional(found[name]), err
}

// others returns who a customer is besides, and who they were said not to be.
func (f *finder) others(ctx context.Context, customer string) ([]lookupOther, error) {
	others := []lookupOther{}
	rows, err := f.store.ClaimsOf(ctx, f.shop, []string{customer})
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		others = append(others, lookupOther{Key: row.Key, Open: row.CopernicaID != 0})
	}
	undone, err := everyUndone(ctx, f.store, f.shop)
	for _, row := range undone {
		if row.Parent == customer {
			others = append(others, lookupOther{Key: row.Key, Undone: true})
		}
	}
	return others, err
}

// record gathers what the state knows of one key; of an order with its profile and its
// lines.
func (f *finder) record(ctx context.Context, ref state.RecordRef) (*lookupRecord, error) {
	r := &lookupRecord{
		Entity: ref.Entity, Key: ref.Key, SourceID: sourceOf(ref, f.mapping),
		Doubles: []lookupDouble{}, Letters: []deadLetter{}, Erased: []receipt{}, Others: []lookupOther{}, OptOuts: []lookupOptOut{},
	}
	rows, err := f.store.Records(ctx, f.shop, ref.Entity, []string{ref.Key})
	if err != nil {
		return nil, err
	}
	row, known := rows[ref.Key]
	if known {
		r.Ledger, r.SourceID, r.Number = newLedgerRow(row), row.SourceID, row.Number
		if r.LastRun, err = runOf(ctx, f.store, f.shop, row.RunID); err != nil {
			return nil, err
		}
	}
	doubles, err := f.store.Doubles(ctx, f.shop, ref.Entity, ref.Key)
	if err != nil {
		return nil, err
	}
	for _, d := range doubles {
		if d.CopernicaID != row.CopernicaID {
			r.Doubles = append(r.Doubles, lookupDouble{d.CopernicaID, d.SeenAt})
		}
	}
	if ref.Entity == state.Profile {
		receipts, err := f.store.Erasures(ctx, f.shop, ref.Key, everyLetter)
		if err != nil {
			return nil, err
		}
		for _, e := range receipts {
			r.Erased = append(r.Erased, newReceipt(e))
		}
		if known && row.State == state.Gone && len(receipts) == 0 {
			if r.Tombstone, err = f.tombstoneOf(ctx, ref.Key); err != nil {
				return nil, err
			}
		}
		if r.Others, err = f.others(ctx, ref.Key); err != nil {
			return nil, err
		}
		settled, err := f.store.OptOuts(ctx, f.shop, ref.Key, everyLetter)
		if err != nil {
			return nil, err
		}
		for _, o := range settled {
			r.OptOuts = append(r.OptOuts, lookupOptOut{o.Source, optional(o.At), o.SettledAt.UTC()})
		}
	}
	// A key is of one entity, and of a profile also that of its opt-outs.
	letters, err := f.store.Letters(ctx, f.shop, state.LetterFilter{Keys: []string{ref.Key}, Limit: everyLetter})
	if err != nil {
		return nil, err
	}
	r.Letters = newDeadLetters(letters)
	if len(letters) > 0 && r.SourceID == 0 {
		r.SourceID = letters[0].SourceID
	}
	switch {
	case ref.Entity == state.Profile:
		r.Claim = claimOf(row)
	case row.Parent != "":
		if r.Profile, err = f.record(ctx, state.RecordRef{Entity: state.Profile, Key: row.Parent}); err != nil {
			return nil, err
		}
	}
	if ref.Entity == state.Order {
		err = f.lines(ctx, r)
	}
	return r, err
}

// lines adds the lines of an order.
func (f *finder) lines(ctx context.Context, order *lookupRecord) error {
	order.Items = []*lookupRecord{}
	rows, err := f.store.RecordsBySource(ctx, f.shop, state.Item, []int64{order.SourceID})
	if err != nil {
		return err
	}
	slices.SortFunc(rows, func(x, y state.Record) int { // by id, whose digits are as many or more
		return cmp.Or(cmp.Compare(len(x.Key), len(y.Key)), cmp.Compare(x.Key, y.Key))
	})
	for _, row := range rows {
		line, err := f.record(ctx, state.RecordRef{Entity: state.Item, Key: row.Key})
		if err != nil {
			return err
		}
		line.Profile = nil // the order's, unless a move of it was cut short
		order.Items = append(order.Items, line)
	}
	return nil
}
