package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
)

// ResyncRequest is what an operator wants to be sent again: records of a stream by the
// time of their last change, or some that are named, by id or e-mail. Nothing at all
// means every record.
type ResyncRequest struct {
	Stream string    // one of Streams, or ConsentSweep: consent alone, of everybody
	Since  time.Time // inclusive; zero: from the beginning
	Until  time.Time // exclusive; zero: the shop's clock when it is first worked
	Stores []string  // codes of store views
	IDs    []int64   // of customers or orders
	Emails []string  // of customers, or of people whose orders are meant
	Force  bool      // also what Copernica has acknowledged
}

// RequestError says what is wrong with a request, and what to write instead.
type RequestError struct{ text string }

func (e *RequestError) Error() string { return e.text }

func requestError(format string, args ...any) error {
	return &RequestError{fmt.Sprintf(format, args...)}
}

// check finds what is wrong with a request by itself.
func (q *ResyncRequest) check() error {
	named := len(q.IDs) > 0 || len(q.Emails) > 0
	chosen := named || len(q.Stores) > 0 || !q.Since.IsZero() || !q.Until.IsZero()
	switch {
	case q.Stream == ConsentSweep && (chosen || q.Force):
		return requestError("%s is of everybody, and forces nothing: leave out since, until, store, ids, e-mails and force", ConsentSweep)
	case !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until):
		return requestError("until %s is not after since %s, so that nothing lies between: write the earlier time as since",
			q.Until.UTC().Format(time.RFC3339), q.Since.UTC().Format(time.RFC3339))
	case named && (!q.Since.IsZero() || !q.Until.IsZero() || len(q.Stores) > 0):
		return requestError("ids and e-mails name the records themselves: leave out since, until and store")
	case slices.ContainsFunc(q.IDs, func(id int64) bool { return id <= 0 }):
		return requestError("an id is a number above 0, as the shop's back end shows it in the address of a customer or an order (an order's number is another)")
	}
	return nil
}

// NewResync makes of a request what the state can keep: codes of store views become
// their ids, and e-mails become the ids of the records, which are asked from the shop
// now. No e-mail stands in an address (promise 17), so that the shop's e-mails are walked
// to find one. Nothing is stored; errors of the request are a *RequestError.
func (e *Engine) NewResync(ctx context.Context, q ResyncRequest) (state.Resync, error) {
	r := state.Resync{
		Pipeline: e.cfg.Pipeline, Stream: q.Stream, Force: q.Force, State: state.ResyncOpen,
		Since: q.Since.UTC().Truncate(time.Second), Until: q.Until.UTC().Truncate(time.Second),
	}
	if r.Until.Before(q.Until) {
		r.Until = r.Until.Add(time.Second)
	}
	_, err := kindOf(q.Stream, e.cfg.Mapping)
	if err == nil {
		err = q.check()
	}
	if err == nil && len(q.Stores) > 0 {
		r.Stores, err = e.views(ctx, q.Stores)
	}
	r.IDs = slices.Clone(q.IDs)
	if err == nil && len(q.Emails) > 0 {
		var ids []int64
		ids, err = e.owned(ctx, q.Stream, q.Emails)
		r.IDs = append(r.IDs, ids...)
	}
	slices.Sort(r.IDs)
	r.IDs = slices.Compact(r.IDs)
	return r, err
}

// AddResync records a resync, to be worked by whoever gives it its turn: this process or
// another one.
func (e *Engine) AddResync(ctx context.Context, r state.Resync) (state.Resync, error) {
	if err := fixShop(ctx, &e.cfg); err != nil {
		return r, err
	}
	id, err := e.cfg.Store.AddResync(ctx, r)
	if err != nil {
		return r, err
	}
	return e.cfg.Store.Resync(ctx, e.cfg.Pipeline, id)
}

// views returns the ids of store views by their codes.
func (e *Engine) views(ctx context.Context, codes []string) ([]int64, error) {
	stores, err := e.cfg.Shop.Stores(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]int64{}
	var all []string
	for _, v := range stores.Views {
		if v.ID != 0 { // the back end's own
			known[v.Code] = v.ID
			all = append(all, v.Code)
		}
	}
	var ids []int64
	for _, code := range codes {
		id, ok := known[code]
		if !ok {
			return nil, requestError("the shop has no store view with the code %q: its codes are %s", code, strings.Join(all, ", "))
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// owned returns the ids of the customers with some e-mails, or of their orders and those
// that guests placed with them.
func (e *Engine) owned(ctx context.Context, stream string, emails []string) ([]int64, error) {
	wanted := map[string]bool{} // by e-mail, whether somebody has it
	for _, email := range emails {
		wanted[plainEmail(email)] = false
	}
	var people []int64
	for got, err := range e.cfg.Shop.Emails(ctx, magento.EmailQuery{}) {
		if err != nil {
			return nil, err
		}
		for _, item := range got.Items {
			address := plainEmail(item.Value.Email)
			if _, ok := wanted[address]; ok && item.Err == nil {
				wanted[address] = true
				people = append(people, item.ID)
			}
		}
		e.cfg.Progress(Progress{Stream: emailScan, Total: int64(got.Total)})
	}
	if stream == Customers {
		return people, nobody(emails, wanted, "customer")
	}
	orders, err := e.orders(ctx, people, wanted)
	if err != nil {
		return nil, err
	}
	return orders, nobody(emails, wanted, "customer or guest")
}

// plainEmail is an e-mail as two that mean one are equal.
func plainEmail(address string) string { return strings.ToLower(strings.TrimSpace(address)) }

// nobody returns an error when an e-mail is nobody's. The e-mail itself stands in no
// message.
func nobody(emails []string, found map[string]bool, whose string) error {
	for i, email := range emails {
		switch {
		case found[plainEmail(email)]:
		case len(emails) == 1:
			return requestError("no %s of the shop has this e-mail", whose)
		default:
			return requestError("no %s of the shop has e-mail %d of those that were given", whose, i+1)
		}
	}
	return nil
}

// orders returns the ids of the orders of some people, and of those that guests placed
// with the wanted e-mails, which it marks as found.
func (e *Engine) orders(ctx context.Context, people []int64, wanted map[string]bool) ([]int64, error) {
	now, err := e.cfg.Shop.Clock(ctx)
	if err != nil {
		return nil, err
	}
	var ids []int64
	collect := func(q magento.Query, mine func(*magento.Order) bool) error {
		q.Before = now.Add(time.Minute)
		for got, err := range e.cfg.Shop.Orders(ctx, q) {
			if err != nil {
				return err
			}
			for _, item := range got.Items {
				if item.Err == nil && mine(&item.Value) {
					ids = append(ids, item.ID)
				}
			}
		}
		return nil
	}
	if len(people) > 0 {
		if err := collect(magento.Query{Customers: people, Fields: []string{"entity_id"}}, func(*magento.Order) bool { return true }); err != nil {
			return nil, err
		}
	}
	err = collect(magento.Query{Guests: true, Fields: []string{"customer_email"}}, func(o *magento.Order) bool {
		_, mine := wanted[plainEmail(o.Email)]
		if mine {
			wanted[plainEmail(o.Email)] = true
		}
		return mine
	})
	return ids, err
}
