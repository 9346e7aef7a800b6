package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

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
		"when, which key, how it was known, what was done, and how many rows went along. `flag` erases nothing."
}

func (c *erasedCommand) Run(ctx context.Context, a *app) error {
	if c.Limit < 1 {
		return &usageError{errors.New("--limit must be at least 1")}
	}
	return show(ctx, a, c.JSON, c.read, func(r *erasedReport) error { return r.print(a.stdout) })
}

func (c *erasedCommand) read(ctx context.Context, store state.Store, shop string, now time.Time) (*erasedReport, error) {
	o, err := store.Overview(ctx, shop)
	if err != nil {
		return nil, err
	}
	r := &erasedReport{Shop: shop, At: now.UTC().Truncate(time.Second), ByPolicy: o.Erased, Receipts: []receipt{}}
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
		fmt.Fprintf(&b, "nobody of shop %q was erased\n", r.Shop)
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
	_, err := w.Write(b.Bytes())
	return err
}

// causeWords say how an erasure came about.
var causeWords = map[string]string{
	engine.CauseDeleted:    "deleted in the shop",
	engine.CauseAnonymised: "anonymised in the shop",
	engine.CauseTombstone:  "erased before, and seen again, as after a backup was restored",
}

// words say what was done.
func (e *receipt) words() string {
	profile := "no profile was known"
	if e.CopernicaID != 0 {
		profile = fmt.Sprintf("profile %d", e.CopernicaID)
	}
	if e.Policy == string(engine.EraseFlag) {
		return "flagged only: nothing was erased, " + profile + " stays"
	}
	done := map[string]string{string(engine.EraseRemove): "removed", string(engine.EraseBlank): "blanked"}[e.Policy]
	if e.CopernicaID == 0 {
		return profile
	}
	return fmt.Sprintf("%s %s, with %s and %s", profile, done, counted(e.Orders, "order"), counted(e.Items, "line"))
}
