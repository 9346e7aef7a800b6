package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/magento-copernica/syncd/state"
)

func (l *liveSides) print(b *bytes.Buffer, line func(name, format string, args ...any), rec *lookupRecord, r *lookupReport) {
	b.WriteByte('\n')
	switch {
	case !l.InShop && rec.Entity == state.Item:
		line("shop", "has no such line in the order")
	case !l.InShop:
		line("shop", "has no %s", strings.TrimPrefix(whose(rec.Entity, rec.Key, rec.SourceID), "the "))
	case l.UpdatedAt == nil:
		line("shop", "has it")
	default:
		line("shop", "changed %s", since(l.UpdatedAt, r.At))
	}
	if l.awaited(rec) {
		line("", "that is after what Copernica acknowledged last: the next run brings what changed")
	}
	if l.Problem != "" {
		line("problem", "%s", l.Problem)
	}
	l.printRows(line, rec)
	if i := slices.IndexFunc(l.Fields, func(f liveField) bool { return f.Consent }); i >= 0 {
		line("newsletter", "%s from the shop, %s in Copernica", value(l.Fields[i].Mapped), value(l.Fields[i].Copernica))
	}
	if l.Gone != 0 {
		line("", "%s %d, which the state knows, was removed%s", rowWord(rec.Entity), l.Gone, l.remedy(rec))
	}
	if l.Rekeyed != 0 {
		line("", "%s %d, which the state knows, has another key now", rowWord(rec.Entity), l.Rekeyed)
	}
	if len(l.Fields) == 0 {
		return
	}
	b.WriteByte('\n')
	table(b, func(row func(cells ...any)) {
		row("", "field", "from the shop", "in Copernica")
		for _, f := range l.Fields {
			row(f.words(), f.Field, f.mapped(), value(f.Copernica))
		}
	})
	if slices.ContainsFunc(l.Fields, func(f liveField) bool { return long(f.Mapped) || long(f.Copernica) }) {
		fmt.Fprintf(b, "  values are cut to %d characters here: --json has them whole\n", mostShown)
	}
	if slices.ContainsFunc(l.Fields, func(f liveField) bool { return f.Consent && f.words() == different }) {
		b.WriteString("  consent that Copernica changed is kept: a difference there may be right\n")
	}
}

// awaited reports whether the shop has a later change that the next run writes. The time
// alone does not tell: a change of what is not mapped leaves the ledger's as it was.
func (l *liveSides) awaited(rec *lookupRecord) bool {
	return rec.Ledger != nil && rec.Ledger.State == state.Acknowledged && rec.Ledger.CopernicaID == l.Ours && l.Ours != 0 && l.Problem == "" &&
		l.UpdatedAt != nil && rec.Ledger.SourceUpdatedAt != nil && l.UpdatedAt.After(*rec.Ledger.SourceUpdatedAt) &&
		slices.ContainsFunc(l.Fields, func(f liveField) bool { return !f.Consent && f.words() == different })
}

// remedy says how what was removed in Copernica comes back, if it is to.
func (l *liveSides) remedy(rec *lookupRecord) string {
	switch {
	case !l.InShop || rec.Ledger.State == state.Claimed:
		return ""
	case l.Ours != 0:
		return fmt.Sprintf(": `syncd verify --repair` goes on with %s %d", rowWord(rec.Entity), l.Ours)
	default:
		return ": `syncd verify --repair` makes it anew"
	}
}

// printRows says where Copernica has the record.
func (l *liveSides) printRows(line func(name, format string, args ...any), rec *lookupRecord) {
	word, ids := rowWord(rec.Entity), l.Profiles
	if rec.Entity != state.Profile {
		ids = l.Rows
	}
	switch n := len(ids); {
	case n == 0:
		line("Copernica", "has no %s with key %s", word, rec.Key)
	case n > 1:
		line("Copernica", "%d %ss have key %s: %d", n, word, rec.Key, ids)
		l.printDoubles(line, rec, word, ids)
	case rec.gone() && !rec.left(ids[0]):
		line("Copernica", "profile %d has their key, and they were erased: it is not ours, remove it in Copernica by hand", ids[0])
	case rec.Entity == state.Profile:
		line("Copernica", "profile %d", ids[0])
	default:
		line("Copernica", "subprofile %d, below profile %d", ids[0], l.Profiles[0])
	}
	if rec.Entity != state.Order || rec.Profile == nil || rec.Profile.Ledger == nil {
		return
	}
	if due := rec.Profile.Ledger.CopernicaID; due != 0 && len(ids) == 1 && l.Profiles[0] != due {
		line("", "it belongs below profile %d", due)
	}
}

// printDoubles says which of several rows with one key is ours, and what to do.
func (l *liveSides) printDoubles(line func(name, format string, args ...any), rec *lookupRecord, word string, ids []int64) {
	others := slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return id == l.Ours })
	switch {
	case rec.gone():
		others = slices.DeleteFunc(slices.Clone(ids), rec.left)
		line("", "they were erased, so that %d are not ours and never written to: remove them in Copernica by hand", others)
		return
	case l.Ours == 0:
		line("", "none of them is ours, and none is ever written to: remove them in Copernica")
		return
	case l.Ours == rec.copernicaID():
		line("", "%s %d is ours: it is written to by its id, the others never", word, l.Ours)
	case rec.Entity == state.Profile:
		line("", "%s %d is the one that is written to, by its id: the oldest that shows an opt-out, or else the oldest", word, l.Ours)
	default:
		line("", "%s %d is the one that is written to, by its id: the oldest below its profile", word, l.Ours)
	}
	if rec.Entity == state.Profile {
		line("", "remove %d in Copernica, or merge them into %d there by hand; an opt-out in one of them is the person's, and goes to the shop", others, l.Ours)
	} else {
		line("", "remove %d in Copernica", others)
	}
}

// different marks a field that both sides have with different values.
const different = "different"

func (f *liveField) words() string {
	switch {
	case f.Mapped == nil || f.Copernica == nil:
		return "-"
	case f.Same:
		return "same"
	case f.BothOut:
		return "both out"
	default:
		return different
	}
}

// mapped prints what is sent of the shop's value, which is no more than the field holds.
func (f *liveField) mapped() string {
	if f.Mapped == nil || !f.Full {
		return value(f.Mapped)
	}
	return fmt.Sprintf("%s (all %d characters that the field holds: the shop may have more)", value(f.Mapped), utf8.RuneCountInString(*f.Mapped))
}

// mostShown bounds the characters of a value that are printed for people: one long value
// would put those of all others out of sight.
const mostShown = 60

// long reports whether a value is cut where it is printed.
func long(v *string) bool { return v != nil && utf8.RuneCountInString(*v) > mostShown }

// value prints a value so that blanks and control characters in it are seen.
func value(v *string) string {
	switch {
	case v == nil:
		return "-"
	case long(v):
		return strconv.Quote(string([]rune(*v)[:mostShown])) + "…"
	default:
		return strconv.Quote(*v)
	}
}
