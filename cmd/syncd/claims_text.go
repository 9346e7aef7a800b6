package main

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/magento-copernica/syncd/config"
)

// claimsReport is what `syncd claims --json` prints. docs/status.md describes it; names
// and meanings stay, new ones may join.
type claimsReport struct {
	Shop     string          `json:"shop"`
	At       time.Time       `json:"at"`
	Identity config.Identity `json:"identity"` // email: accounts that are one person are among the guests
	Total    int64           `json:"total"`    // guests who are customers, open or not
	Undone   int64           `json:"undone"`   // guests whom an operator said not to be
	Claims   []claimRow      `json:"claims"`   // by key, at most --limit of them
	More     bool            `json:"more"`     // there are more than these
}

type claimRow struct {
	Key         string     `json:"key"`
	Customer    string     `json:"customer"`
	Open        bool       `json:"open"`         // the guest's own profile is still in Copernica
	Undone      bool       `json:"undone"`       // an operator said that they are not one
	CopernicaID int64      `json:"copernica_id"` // of the guest's profile; 0: it has none of its own
	LastRun     *runBrief  `json:"run"`          // that made the claim, or finished it
	WaitsFor    claimWait  `json:"waits_for"`    // empty unless open
	Orders      []string   `json:"orders"`       // of an open claim: keys of the first orders that still stand below the guest's profile
	Attempts    int        `json:"attempts"`     // to finish it, in vain
	NextAttempt *time.Time `json:"next_attempt"`
}

// print writes the report for people.
func (r *claimsReport) print(w io.Writer, asked *claimsList) error {
	var b bytes.Buffer
	switch {
	case len(r.Claims) == 0 && asked.Undone:
		fmt.Fprintf(&b, "no claim of shop %q was undone\n", r.Shop)
	case asked.Undone:
		r.printUndone(&b, asked)
	case len(r.Claims) == 0 && asked.Open && r.Total > 0:
		fmt.Fprintf(&b, "no claim is open: %s, and no guest has a profile of their own besides\n", r.people())
	case len(r.Claims) == 0:
		fmt.Fprintf(&b, "no guest of shop %q turned out to be a customer\n", r.Shop)
	default:
		r.printClaims(&b, asked)
	}
	if r.Undone > 0 && !asked.Undone {
		fmt.Fprintf(&b, "%s undone: `syncd claims --undone`\n", plural(r.Undone, "1 claim was", grouped(r.Undone)+" claims were"))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// people says how many guests are customers, and accounts another one.
func (r *claimsReport) people() string {
	if r.Identity == config.ByEmail {
		return fmt.Sprintf("%s %s of shop %q turned out to be one person with a customer", grouped(r.Total), plural(r.Total, "guest or account", "guests and accounts"), r.Shop)
	}
	return fmt.Sprintf("%s of shop %q turned out to be %s", counted(r.Total, "guest"), r.Shop, plural(r.Total, "a customer", "customers"))
}

// plural chooses the word for a number.
func plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func (r *claimsReport) printClaims(b *bytes.Buffer, asked *claimsList) {
	fmt.Fprintf(b, "%s\n\n", r.people())
	table(b, func(row func(cells ...any)) {
		if r.Identity == config.ByEmail {
			row("guest or account", "customer", "by run", "run begun", "their own profile")
		} else {
			row("guest", "customer", "by run", "run begun", "guest's profile")
		}
		for _, c := range r.Claims {
			run, begun := "-", "-"
			if c.LastRun != nil {
				run = fmt.Sprint(c.LastRun.ID)
				begun = ago(c.LastRun.Started, r.At)
			}
			row(c.Key, c.Customer, run, begun, c.words(r.At))
		}
	})
	if r.More {
		command := "syncd claims"
		if asked.Open {
			command += " --open"
		}
		fmt.Fprintf(b, "  and more: %s --limit %d\n", command, 10*asked.Limit)
	}
	b.WriteString("\n" +
		"syncd lookup KEY        what is known of the guest and the customer\n" +
		"syncd claims undo KEY   they are not one: the guest gets a profile of their own again\n")
	if r.Identity == config.ByEmail {
		b.WriteString("                        (accounts part when one of them gets another e-mail in the shop)\n")
	}
}

func (r *claimsReport) printUndone(b *bytes.Buffer, asked *claimsList) {
	fmt.Fprintf(b, "%s of shop %q %s undone: these guests are not these customers, and keep a profile of their own\n\n",
		counted(r.Undone, "claim"), r.Shop, plural(r.Undone, "was", "were"))
	table(b, func(row func(cells ...any)) {
		row("guest", "is not", "guest's profile")
		for _, c := range r.Claims {
			profile := "none: they get one with the next order that the shop shows of them"
			if c.CopernicaID != 0 {
				profile = fmt.Sprint(c.CopernicaID)
			}
			row(c.Key, c.Customer, profile)
		}
	})
	if r.More {
		fmt.Fprintf(b, "  and more: syncd claims --undone --limit %d\n", 10*asked.Limit)
	}
}

// words say what became of the guest's profile, or what it waits for.
func (c *claimRow) words(now time.Time) string {
	if !c.Open {
		return "none"
	}
	var why string
	switch n := int64(len(c.Orders)); c.WaitsFor {
	case waitsForRun:
		return fmt.Sprintf("%d, until the next run of the orders", c.CopernicaID)
	case waitsForCustomer:
		return fmt.Sprintf("%d, until %s has a profile: `syncd lookup %s`", c.CopernicaID, c.Customer, c.Customer)
	case waitsForOrders:
		why = fmt.Sprintf("%s could not be moved: `syncd lookup %s`", counted(n, "order"), c.Orders[0])
	case waitsForProfile:
		why = "something stands below it that syncd did not write, it has another key, or the customer's profile is gone: look at both in Copernica"
	}
	again := "with the next run"
	if c.NextAttempt != nil && c.NextAttempt.After(now) {
		again = "in " + duration(c.NextAttempt.Sub(now))
	}
	return fmt.Sprintf("%d, %s; tried again %s", c.CopernicaID, why, again)
}
