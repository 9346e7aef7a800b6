package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// erasedCommand lists who was erased: the receipts, which hold no personal data.
type erasedCommand struct {
	Limit int  `default:"20" help:"Receipts shown at most, the newest first."`
	JSON  bool `help:"Print JSON, in the form that docs/status.md describes."`
}

// Help is shown by `syncd erased --help`.
func (*erasedCommand) Help() string {
	return "Who was deleted or anonymised in the shop is treated as SYNCD_ERASURE says, and a receipt without personal data remains: " +
		"when, which key, how it was known, what was done, and how many rows went along. `flag` erases nothing.\n\n" +
		"Receipts belong to a state. A new or older one that took up SYNCD_TOMBSTONE_FILE knows who was erased, and brings nobody back, " +
		"but has no receipts of it: they are in the backups of the state that was lost."
}

func (c *erasedCommand) Run(ctx context.Context, a *app) error {
	if c.Limit < 1 {
		return &usageError{errors.New("--limit must be at least 1")}
	}
	return show(ctx, a, c.JSON, c.read, func(r *erasedReport) error { return r.print(a.stdout) })
}

func (c *erasedCommand) read(ctx context.Context, store state.Store, cfg config.Config, now time.Time) (*erasedReport, error) {
	shop := cfg.Shop
	o, err := store.Overview(ctx, shop)
	if err != nil {
		return nil, err
	}
	r := &erasedReport{Shop: shop, At: now.UTC().Truncate(time.Second), ByPolicy: o.Erased, Receipts: []receipt{}}
	if o.Taken.Stones > 0 {
		r.Taken = &takenReport{
			Tombstones: o.Taken.Stones, Since: o.Taken.First.UTC(), Oldest: o.Taken.Oldest.UTC(), Latest: o.Taken.Latest.UTC(),
		}
	}
	all, err := store.Erasures(ctx, shop, "", c.Limit+1)
	if err != nil {
		return nil, err
	}
	if r.More = len(all) > c.Limit; r.More {
		all = all[:c.Limit]
	}
	for _, e := range all {
		r.Receipts = append(r.Receipts, newReceipt(e))
	}
	return r, nil
}

// erasedReport is what `syncd erased --json` prints. docs/status.md describes it; names and
// meanings stay, new ones may join.
type erasedReport struct {
	Shop     string           `json:"shop"`
	At       time.Time        `json:"at"`
	ByPolicy map[string]int64 `json:"by_policy"` // all receipts
	Receipts []receipt        `json:"receipts"`
	More     bool             `json:"more"`
	Taken    *takenReport     `json:"without_receipt"` // null: every tombstone has one
}

// takenReport tells of tombstones that were taken up from the tombstone file, and whose
// receipts are elsewhere.
type takenReport struct {
	Tombstones int64     `json:"tombstones"`
	Since      time.Time `json:"since"`  // when the first of them was taken up
	Oldest     time.Time `json:"oldest"` // when the people were erased
	Latest     time.Time `json:"latest"`
}

// receipt says that somebody was erased.
type receipt struct {
	At          time.Time `json:"at"`
	Key         string    `json:"key"`
	Cause       string    `json:"cause"`
	Policy      string    `json:"policy"`
	CopernicaID int64     `json:"copernica_id"` // 0: they had no profile
	Orders      int64     `json:"orders"`
	Items       int64     `json:"items"`
	Run         int64     `json:"run_id"`
}

func newReceipt(e state.Erasure) receipt {
	return receipt{
		At: e.At.UTC(), Key: e.Key, Cause: e.Cause, Policy: e.Policy, CopernicaID: e.CopernicaID, Orders: e.Orders, Items: e.Items, Run: e.RunID,
	}
}

func (r *erasedReport) print(w io.Writer) error {
	var b bytes.Buffer
	if len(r.Receipts) == 0 {
		fmt.Fprintf(&b, "nobody of shop %q was erased%s\n", r.Shop, map[bool]string{true: " with this state"}[r.Taken != nil])
		r.Taken.print(&b)
		_, err := w.Write(b.Bytes())
		return err
	}
	table(&b, func(row func(cells ...any)) {
		row("when", "key", "why", "what was done")
		for _, e := range r.Receipts {
			row(moment(e.At), e.Key, causeWords[e.Cause], e.words())
		}
	})
	if r.More {
		fmt.Fprintf(&b, "there are more (%s): --limit shows them\n", counts(r.ByPolicy))
	}
	r.Taken.print(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// print says what is known of people without a receipt.
func (t *takenReport) print(b *bytes.Buffer) {
	if t == nil {
		return
	}
	when := "on " + moment(t.Oldest)
	if !t.Latest.Equal(t.Oldest) {
		when = "between " + moment(t.Oldest) + " and " + moment(t.Latest)
	}
	fmt.Fprintf(b, "%s without a receipt, of people erased %s: taken up from SYNCD_TOMBSTONE_FILE since %s, and nothing older of them comes back. "+
		"One person may have several; the receipts are in the backups of the state that made them\n",
		counted(t.Tombstones, "tombstone"), when, moment(t.Since))
}

// causeWords say how an erasure came about.
var causeWords = map[string]string{
	engine.CauseDeleted:    "deleted in the shop",
	engine.CauseAnonymised: "anonymised in the shop",
	engine.CauseTombstone:  "erased before; what came by again is no newer",
}

// words say what was done.
func (e *receipt) words() string {
	flagged := e.Policy == string(engine.EraseFlag)
	profile := fmt.Sprintf("profile %d", e.CopernicaID)
	switch {
	case flagged && e.CopernicaID == 0:
		return "flagged only: nothing was erased, and no profile was known"
	case flagged:
		return "flagged only: nothing was erased, " + profile + " stays"
	case e.CopernicaID == 0:
		return "no profile was known"
	}
	done := map[string]string{string(engine.EraseRemove): "removed", string(engine.EraseBlank): "blanked"}[e.Policy]
	return fmt.Sprintf("%s %s, with %s and %s", profile, done, counted(e.Orders, "order"), counted(e.Items, "line"))
}
