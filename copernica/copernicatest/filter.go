package copernicatest

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// condition is one fields[] expression that was understood.
type condition struct {
	field   *field // nil: a special name
	special string // id, code, modified
	op      string
	text    string // the value, folded as the stored one will be
	number  float64
	whole   int64
}

// parseConditions reads fields[] expressions. What it cannot understand, an unknown
// name among it, is left out and counted.
func (a *Account) parseConditions(t *table, expressions []string) (conds []condition, unknown int) {
	for _, e := range expressions {
		if c, ok := a.parseCondition(t, e); ok {
			conds = append(conds, c)
		} else {
			unknown++
		}
	}
	return conds, unknown
}

// parseCondition cuts an expression at its first operator (behaviour 36). A blank
// before it belongs to the name, which is unknown then; one behind it to the value,
// where only texts keep it (behaviour 31).
func (a *Account) parseCondition(t *table, e string) (condition, bool) {
	if !a.cfg.KeepOuterBlanks {
		e = strings.Trim(e, " \t\n\r\v\x00")
	}
	at := strings.IndexAny(e, "=<>!~")
	if at <= 0 {
		return condition{}, false
	}
	op := operator(e[at:])
	if op == "" {
		return condition{}, false
	}
	name, value := strings.ToLower(e[:at]), e[at+len(op):]
	if op == "<>" {
		op = "!="
	}
	c := condition{op: op, field: t.byName[name]}
	if c.field == nil {
		c.special = name
		switch name {
		case "id":
			c.whole = intCast(value)
		case "modified":
			// A date alone is midnight. What is no date compares as the zero date.
			c.text = a.convertDate(&field{typ: "datetime", kind: kindDate}, value)
		case "code":
			c.text = strings.ToLower(value)
		default:
			return condition{}, false
		}
		if like(op) {
			c.text = a.foldText(value)
		}
		return c, true
	}
	switch {
	case like(op) && c.field.kind != kindSelect:
		c.text = a.foldText(value)
	case like(op) || c.field.kind == kindSelect:
		c.text = value
	case c.field.kind == kindText:
		c.text = a.foldText(value)
	default:
		c.text = a.convert(c.field, value)
		c.whole, c.number = intCast(value), floatCast(value)
	}
	return c, true
}

// operator returns the operator that s begins with, "" if none.
func operator(s string) string {
	for _, op := range []string{"==", "!=", "<>", "<=", ">=", "=~", "!~", "<", ">"} {
		if strings.HasPrefix(s, op) {
			return op
		}
	}
	return ""
}

func like(op string) bool { return op == "=~" || op == "!~" }

// match reports whether a row fits a condition.
func (a *Account) match(c condition, r *row) bool {
	var order int
	var stored string
	switch {
	case c.field == nil && c.special == "id":
		stored = strconv.FormatInt(r.id, 10)
		order = cmp.Compare(r.id, c.whole)
	case c.field == nil && c.special == "modified":
		stored = a.stamp(r.modified)
		order = strings.Compare(stored, c.text)
	case c.field == nil:
		stored = strings.ToLower(r.code())
		order = strings.Compare(stored, c.text)
	default:
		stored = r.get(c.field)
		switch c.field.kind {
		case kindInt:
			order = cmp.Compare(intCast(stored), c.whole)
		case kindFloat:
			order = cmp.Compare(floatCast(stored), c.number)
		case kindText:
			stored = a.foldText(stored)
			order = strings.Compare(stored, c.text)
		default:
			order = strings.Compare(stored, c.text)
		}
	}
	switch c.op {
	case "==":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case ">":
		return order > 0
	case "<=":
		return order <= 0
	case ">=":
		return order >= 0
	case "=~":
		return wildcard(c.text, stored)
	default:
		return !wildcard(c.text, stored)
	}
}

// wildcard is SQL's LIKE: % is any text, _ any character, a backslash takes the next
// one literally.
func wildcard(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		_, size := utf8.DecodeRuneInString(s[i:])
		if p < len(pattern) && pattern[p] == '%' {
			star, mark = p, i
			p++
			continue
		}
		if p < len(pattern) {
			if pattern[p] == '_' {
				p++
				i += size
				continue
			}
			q := p
			if pattern[q] == '\\' && q+1 < len(pattern) {
				q++
			}
			_, width := utf8.DecodeRuneInString(pattern[q:])
			if pattern[q:q+width] == s[i:i+size] {
				p = q + width
				i += size
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, size = utf8.DecodeRuneInString(s[mark:])
		mark += size
		p, i = star+1, mark
	}
	return strings.Trim(pattern[p:], "%") == ""
}

// selectRows returns the live rows that fit all conditions, ids ascending, at most
// limit of them if that is not negative. base, when not nil, replaces the table's
// rows: the subprofiles of one profile.
func (a *Account) selectRows(t *table, base []*row, conds []condition, limit int) []*row {
	rows := base
	if rows == nil {
		rows = a.candidates(t, conds)
	}
	var found []*row
	for _, r := range rows {
		if limit >= 0 && len(found) >= limit {
			break
		}
		if r.removed == 0 && !slices.ContainsFunc(conds, func(c condition) bool { return !a.match(c, r) }) {
			found = append(found, r)
		}
	}
	return found
}

// candidates narrows a table's rows by the conditions that have an index.
func (a *Account) candidates(t *table, conds []condition) []*row {
	rows := t.rows
	for _, c := range conds {
		if c.op == "==" && c.field != nil && c.field.kind != kindFloat {
			rows = a.equal(t, c.field, c.text)
			break
		}
	}
	for _, c := range conds {
		if c.special != "id" {
			continue
		}
		if c.op == "==" || c.op == ">" || c.op == ">=" {
			from, _ := slices.BinarySearchFunc(rows, c.whole, byID)
			rows = rows[from:]
		}
		if c.op == "==" {
			rows = rows[:min(1, len(rows))]
		}
	}
	return rows
}
