package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// summary says in one line what a run did.
func summary(r engine.Report) string {
	n := r.Counters
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", r.Stream, tally(r.Stream, n))
	if r.Unreached > 0 {
		fmt.Fprintf(&b, ", %s not reached", grouped(r.Unreached))
	}
	fmt.Fprintf(&b, "; %s to Copernica, %s to Magento; %s", counted(n.TargetCalls, "call"), grouped(n.SourceCalls), r.Elapsed.Round(10*time.Millisecond))
	switch {
	case r.Waiting && r.Outcome == state.Paused:
		b.WriteString("; waits for customers: the first pass over the customers is not finished")
	case r.Outcome == state.Done && r.Horizon.IsZero():
		b.WriteString("; nothing to hold against each other before the first pass is finished")
	case r.Outcome == state.Done && strings.Contains(r.Stream, "/"):
		b.WriteString("; everything was looked at")
	case r.Outcome == state.Done:
		fmt.Fprintf(&b, "; in step up to %s", r.Horizon.UTC().Format(time.RFC3339))
	case r.Outcome == state.Paused:
		b.WriteString("; not finished, the next run resumes here")
	case r.Outcome == state.Failed:
		b.WriteString("; failed, the next run resumes here")
	}
	return b.String()
}

// tally says what a run counted, or would count.
func tally(stream string, n state.Counters) string {
	created := grouped(n.Created)
	if strings.HasPrefix(stream, engine.Orders) { // an order makes several
		created = counted(n.Created, "row")
	}
	returned := n.OptOutsReturned - n.OptOutsWithoutRecord
	var b strings.Builder
	fmt.Fprintf(&b, "%s read", grouped(n.Read))
	if stream != engine.Unsubscribes {
		fmt.Fprintf(&b, ", %s created, %s updated, %s unchanged", created, grouped(n.Updated), grouped(n.Unchanged))
	}
	for _, part := range []struct {
		count int64
		words string
	}{
		{n.Removed, counted(n.Removed, "row") + " removed"},
		{n.Refused, grouped(n.Refused) + " refused"},
		{n.Claimed, foundCustomers(n.Claimed)},
		{n.Ownerless, grouped(n.Ownerless) + " of deleted accounts"},
		{n.Unknown, grouped(n.Unknown) + " without an outcome yet"},
		{n.Erased, people(n.Erased) + " erased"},
		{n.Missing, counted(n.Missing, "record") + " gone from the shop"},
		{returned, counted(returned, "opt-out") + " returned to the shop"},
		{n.OptOutsWithoutRecord, counted(n.OptOutsWithoutRecord, "opt-out") + " of people without a record in the shop"},
		{n.OptOutsKept, counted(n.OptOutsKept, "opt-out") + " in Copernica kept"},
	} {
		if part.count > 0 {
			fmt.Fprintf(&b, ", %s", part.words)
		}
	}
	return b.String()
}

// foundCustomers says how many guests turned out to be customers.
func foundCustomers(n int64) string {
	return counted(n, "guest") + " found to be " + plural(n, "a customer", "customers")
}

// people prints a number of them.
func people(n int64) string {
	if n == 1 {
		return "1 person"
	}
	return grouped(n) + " people"
}

// counted prints a number of things, of which name is the singular.
func counted(n int64, name string) string {
	if n == 1 {
		return "1 " + name
	}
	return grouped(n) + " " + name + "s"
}

// grouped prints a number with its thousands apart.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
