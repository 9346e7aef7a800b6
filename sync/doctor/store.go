package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// Store is a state to check.
type Store struct {
	// Open opens the state. It returns a nil store and no error where no run has made
	// one yet. It is called once; who gave it closes the store.
	Open func(context.Context) (state.Store, error)
	// Room says why the first run could not make the state there; nil: that is not tried.
	Room func() error
	// Place says where the state is, without a secret.
	Place string
	// Shop is the code of the shop, the pipeline's name.
	Shop string
	// Sealed says for people what the state's key is sealed with: a variable or a file.
	Sealed string
	Now    func() time.Time

	store  state.Store
	reason error // why it could not be opened
}

const (
	groupState = "state"
	slowState  = "see why the disk or the database server takes so long"

	// writeMark is what proves that the state can be written.
	writeMark = "written by check"
)

// Checks are the checks of the state. They are made once.
func (s *Store) Checks() []Check {
	checks := []Check{
		{Name: "place", Try: s.place},
		{Name: "encryption key", After: []string{"place"}, Try: s.key},
		{Name: "writable", After: []string{"encryption key"}, Try: s.writable},
		{Name: "shop code", After: []string{"encryption key"}, Try: s.code},
		{Name: "writer", After: []string{"encryption key"}, Try: s.writer},
	}
	for i := range checks {
		checks[i].Group, checks[i].Slow = groupState, slowState
	}
	return checks
}

// place opens the state, which also brings its tables to this program's version, or
// says that they are of a later one.
func (s *Store) place(ctx context.Context) Finding {
	s.store, s.reason = s.Open(ctx)
	switch {
	case errors.Is(s.reason, state.ErrKey): // it is there, and the key is the next check
		return Good("%s", s.Place)
	case errors.Is(s.reason, context.DeadlineExceeded):
		return Wrong(slowState, "%s does not answer in time", s.Place)
	case s.reason != nil:
		return Wrong("", "%s", s.reason)
	case s.store == nil:
		if s.Room != nil {
			if err := s.Room(); err != nil {
				return Wrong("", "%s", err)
			}
		}
		return Good("%s, where there is no state yet: the first run makes it", s.Place)
	default:
		return Good("%s, tables of this version", s.Place)
	}
}

func (s *Store) key(context.Context) Finding {
	switch {
	case s.reason != nil:
		return Wrong("", "%s", s.reason)
	case s.store == nil:
		return Unneeded("not tried: there is no state yet")
	default:
		return Good("opens the state (%s)", s.Sealed)
	}
}

// writable leaves a mark and takes it away.
func (s *Store) writable(ctx context.Context) Finding {
	err := s.store.SetMark(ctx, writeMark, s.Now())
	if err == nil {
		err = s.store.SetMark(ctx, writeMark, time.Time{})
	}
	if err != nil {
		return Wrong("", "%s", err)
	}
	return Good("a mark was written and taken away")
}

func (s *Store) code(ctx context.Context) Finding {
	pipelines, err := s.store.Pipelines(ctx)
	if err != nil {
		return Wrong("", "%s", err)
	}
	if len(pipelines) == 0 {
		return Good("%s, fixed by the first run", s.Shop)
	}
	for _, p := range pipelines {
		if p.Name == s.Shop {
			return Good("%s, which writes to %s", s.Shop, p.Target)
		}
	}
	return Wrong("", "%s", &state.ShopError{Have: pipelines[0].Name, Want: s.Shop})
}

// writer says who holds the lease. Nobody between two runs, and a daemon all the time.
func (s *Store) writer(ctx context.Context) Finding {
	overview, err := s.store.Overview(ctx, s.Shop)
	if err != nil {
		return Wrong("", "%s", err)
	}
	if overview.Lease == nil {
		return Good("nobody writes at this moment")
	}
	return Good("%s", held(*overview.Lease, s.Now()))
}

func held(l state.Lease, now time.Time) string {
	return fmt.Sprintf("%s holds the pipeline for %s more", l.Holder, span(l.Expires.Sub(now)))
}
