package engine_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/sync/engine"
)

// action is a kind of event, and how often it is drawn.
type action struct {
	weight int
	act    func(*model, event)
}

// actions are all that can happen, by name.
var actions = sync.OnceValue(func() map[string]action {
	return map[string]action{
		// people in the shop
		"create": {3, (*model).create}, "edit": {4, (*model).edit}, "edit late": {3, (*model).editLate},
		"edit quietly": {3, (*model).editQuietly}, "rename": {3, (*model).rename}, "spoil": {1, (*model).spoil},
		"delete": {2, (*model).remove}, "anonymise": {1, (*model).anonymise},
		"subscribe": {4, (*model).subscribe}, "unsubscribe": {3, (*model).unsubscribe},
		"order": {4, (*model).placeOrder}, "guest order": {4, (*model).placeGuestOrder}, "edit order": {4, (*model).editOrder},
		"edit lines": {3, (*model).editLines}, "document": {4, (*model).document}, "assign": {1, (*model).assign}, "confirm": {3, (*model).confirm}, "burst": {1, (*model).burst},
		// people in Copernica
		"opt out there": {4, (*model).optOutThere}, "opt in there": {1, (*model).optInThere}, "edit there": {2, (*model).editThere},
		"remove there": {2, (*model).removeThere}, "row there": {2, (*model).rowThere}, "add theirs": {1, (*model).addTheirs},
		// syncd
		"run": {11, (*model).runStream}, "sweep": {6, (*model).sweepOnce}, "write back": {4, (*model).back},
		"inspect": {2, (*model).inspectOnce}, "ask resync": {2, (*model).ask}, "resync": {3, func(m *model, e event) { m.turn(e) }},
		"replay": {1, func(m *model, _ event) { m.replay() }}, "everything": {1, (*model).everythingOnce},
		// trouble and time
		"doom": {8, (*model).arm}, "trouble": {5, (*model).disturb}, "lose": {1, (*model).lose},
		"keep": {2, (*model).keep}, "restore": {2, (*model).restore},
		"wait":  {5, func(_ *model, e event) { time.Sleep(time.Duration(e.when) * time.Second) }},
		"hours": {3, func(_ *model, e event) { time.Sleep(time.Duration(e.when) * time.Hour / 8) }},
	}
})

// deck has each action's name as often as it weighs.
var deck = sync.OnceValue(func() []string {
	var names []string
	for _, name := range sorted(actions()) {
		for range actions()[name].weight {
			names = append(names, name)
		}
	}
	return names
})

// lose begins with an empty state.
func (m *model) lose(event) {
	m.newState()
	m.lost, m.kept = true, false
	clear(m.owners)
	m.forgot()
}

// keep makes a copy of the state, as a backup does, and restore puts it in its place.
func (m *model) keep(event) {
	if m.path == "" {
		return // nothing restores it
	}
	check(m.world, m.store.Close())
	m.copyState(filepath.Dir(m.path), filepath.Join(filepath.Dir(m.path), "copy"))
	m.openState()
	m.kept = true
}

func (m *model) restore(e event) {
	if !m.kept {
		if m.path != "" {
			m.lose(e)
		}
		return
	}
	check(m.world, m.store.Close())
	m.emptyState()
	m.copyState(filepath.Join(filepath.Dir(m.path), "copy"), filepath.Dir(m.path))
	m.openState()
	m.lost = true
	clear(m.owners)
	m.forgot()
	// Whoever restores a copy has its consent compared before anything else.
	m.quietly()
	q := m.addResync(engine.ResyncRequest{Stream: engine.ConsentSweep})
	m.mustEnd("the comparison of consent", func(ctx context.Context, x *engine.Engine) (engine.Report, error) {
		return x.Resync(ctx, q.ID, engine.Budget{})
	})
}

func (m *model) copyState(from, to string) {
	check(m.world, os.MkdirAll(to, 0o700))
	files, err := filepath.Glob(filepath.Join(from, filepath.Base(m.path)+"*"))
	check(m.world, err)
	for _, file := range files {
		check(m.world, copyFile(file, filepath.Join(to, filepath.Base(file))))
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// finishResyncs works what operators asked for to its end.
func (m *model) finishResyncs() {
	for range 100 {
		if !m.turn(event{}) {
			return
		}
	}
	m.wrongly("a resync never ends", "%v", engine.Orders)
}
