package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// lookupCommand says where a record is, from the state alone or, when asked, from
// both sides.
type lookupCommand struct {
	What string `arg:"" help:"Customer id, e-mail, Copernica profile as p123 or profile:123, or key such as shop-c123."`
	Live bool   `help:"Read the record from the shop and from Copernica too, and show both side by side. Shows personal data."`
	JSON bool   `help:"Print JSON, in the form that docs/status.md describes."`
}

// Help is shown by `syncd lookup --help`.
func (*lookupCommand) Help() string {
	return "Says what the state knows of a record: when it was first seen, whether Copernica has it, under which id, by which run, " +
		"and its dead letters. Without --live it calls nobody and shows no personal data; an e-mail is only compared by its keyed hash. " +
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
	report := &lookupReport{Shop: cfg.Shop, Target: o.Pipeline.Target, At: a.now().UTC().Truncate(time.Second), By: q.by}
	if report.Records, err = finder.find(ctx, q); err != nil {
		return nil, err
	}
	if c.Live {
		live, err := a.openLive(ctx, cfg, store, o.Pipeline.Target)
		if err != nil {
			return nil, err
		}
		defer live.close()
		if len(report.Records) == 0 {
			if report.Records, err = live.guess(ctx, finder, q); err != nil {
				return nil, err
			}
		}
		for _, r := range report.Records {
			if err := live.read(ctx, r); err != nil {
				return nil, err
			}
		}
	}
	if report.Records = slices.DeleteFunc(report.Records, (*lookupRecord).unknown); len(report.Records) == 0 {
		return nil, q.nothing(c.Live)
	}
	return report, nil
}

// lookupBy is the kind of a question.
type lookupBy string

// The kinds.
const (
	byCustomer lookupBy = "customer"
	byEmail    lookupBy = "email"
	byProfile  lookupBy = "profile"
	byKey      lookupBy = "key"
)

// lookupQuery is a question. An e-mail in it is never printed.
type lookupQuery struct {
	by    lookupBy
	id    int64  // of the customer, or of the profile
	key   string // of the record, where the question tells it
	email string
}

// parseLookup understands what an operator asks for.
func parseLookup(what string, m *mapping.Mapping) (lookupQuery, error) {
	what = strings.TrimSpace(what)
	if strings.Contains(what, "@") {
		return lookupQuery{by: byEmail, email: what}, nil
	}
	if number, ok := profileNumber(what); ok {
		return lookupQuery{by: byProfile, id: number}, nil
	}
	if number, ok := naturalNumber(what); ok {
		return lookupQuery{by: byCustomer, id: number, key: m.CustomerKey(number)}, nil
	}
	if shop, rest, ok := strings.Cut(what, "-"); ok && shop != "" && rest != "" && state.ValidKey(what) == nil {
		if !strings.HasPrefix(m.KeyPrefix(), shop+"-") {
			return lookupQuery{}, fmt.Errorf("%s is no key of this shop: its keys begin with %s; for another shop set SYNCD_SHOP and its state", what, m.KeyPrefix())
		}
		return lookupQuery{by: byKey, id: customerOf(what, m), key: what}, nil
	}
	return lookupQuery{}, &usageError{fmt.Errorf(
		"%q is nothing to look up: write a customer id such as 123, an e-mail, a Copernica profile as p123 or profile:123, or a key such as %s",
		what, m.CustomerKey(123))}
}

// profileNumber reads p123 and profile:123.
func profileNumber(s string) (int64, bool) {
	lower := strings.ToLower(s)
	for _, prefix := range []string{"profile:", "p"} {
		if digits, ok := strings.CutPrefix(lower, prefix); ok {
			return naturalNumber(digits)
		}
	}
	return 0, false
}

// naturalNumber reads an id as both peers print them: leading zeros belong to the
// numbers of orders.
func naturalNumber(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n > 0 && s[0] != '0' && s[0] != '+'
}

// customerOf returns the customer whose profile has a key, or 0.
func customerOf(key string, m *mapping.Mapping) int64 {
	digits, ok := strings.CutPrefix(key, m.KeyPrefix())
	if !ok {
		return 0
	}
	n, _ := naturalNumber(digits)
	return n
}

// nothing says that no record was found, and what else to try.
func (q lookupQuery) nothing(live bool) error {
	switch q.by {
	case byEmail:
		return errors.New("no customer with this e-mail is known to the state, which knows e-mails of shops with several websites only: " +
			"look the customer up by the id that Magento shows under Customers")
	case byProfile:
		if live {
			return fmt.Errorf("the state knows no profile %d, and Copernica has none with that id and a key of this shop", q.id)
		}
		return fmt.Errorf("the state knows no profile %d: with --live Copernica is asked whose it is", q.id)
	}
	if live {
		return fmt.Errorf("neither the state, nor the shop, nor Copernica knows %s", q.key)
	}
	return fmt.Errorf("the state knows no record %s: none has come by yet; with --live the shop and Copernica are asked", q.key)
}

// finder looks records up in the state.
type finder struct {
	store   state.Store
	shop    string
	mapping *mapping.Mapping
}

// find returns what the state knows, by key.
func (f *finder) find(ctx context.Context, q lookupQuery) ([]*lookupRecord, error) {
	var keys []string
	switch q.by {
	case byProfile:
		rows, err := f.store.RecordsByCopernicaID(ctx, f.shop, state.Profile, q.id)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			keys = append(keys, row.Key)
		}
	case byEmail:
		sum := f.store.Hasher().Sum("email", mapping.FoldEmail(q.email))
		owners, err := f.store.Emails(ctx, f.shop, []state.Hash{sum})
		if err != nil {
			return nil, err
		}
		for _, owner := range owners[sum] {
			keys = append(keys, owner.Key)
		}
	default:
		keys = append(keys, q.key)
	}
	var found []*lookupRecord
	for _, key := range keys {
		r, err := f.record(ctx, key)
		if err != nil {
			return nil, err
		}
		if r.Ledger != nil || len(r.Letters) > 0 || q.by == byEmail {
			found = append(found, r)
		}
	}
	return found, nil
}

// record gathers what the state knows of one key.
func (f *finder) record(ctx context.Context, key string) (*lookupRecord, error) {
	r := &lookupRecord{Entity: state.Profile, Key: key, SourceID: customerOf(key, f.mapping), Letters: []deadLetter{}}
	rows, err := f.store.Records(ctx, f.shop, state.Profile, []string{key})
	if err != nil {
		return nil, err
	}
	if row, ok := rows[key]; ok {
		r.Ledger, r.SourceID = newLedgerRow(row), row.SourceID
		if r.LastRun, err = runOf(ctx, f.store, f.shop, row.RunID); err != nil {
			return nil, err
		}
	}
	letters, err := f.store.Letters(ctx, f.shop, state.LetterFilter{Entity: state.Profile, Key: key, Limit: everyLetter})
	if err != nil {
		return nil, err
	}
	r.Letters = newDeadLetters(letters)
	return r, nil
}
