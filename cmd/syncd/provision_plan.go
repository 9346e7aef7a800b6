package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// provisionTable is what becomes of the profiles' fields, or of a collection and its
// fields.
type provisionTable struct {
	collection string // "" of the profiles
	missing    bool   // the collection can be created
	made       bool   // it was
	note       string // why it cannot be
	lines      []*provisionLine
}

// provisionLine is what becomes of one field.
type provisionLine struct {
	finding mapping.Finding
	missing bool   // it can be created
	made    bool   // it was
	note    string // why not, or what differs
}

// plan decides for each finding. A field or a collection that exists in other letters
// cannot be created beside itself, since Copernica matches names in any case.
func plan(findings []mapping.Finding, schema copernica.Schema) []*provisionTable {
	var tables []*provisionTable
	for _, f := range findings {
		n := len(tables)
		if n == 0 || tables[n-1].collection != f.Collection {
			tables = append(tables, newProvisionTable(f))
			n++
		}
		t := tables[n-1]
		t.lines = append(t.lines, newProvisionLine(f, fieldsOf(schema, f.Collection)))
	}
	return tables
}

// newProvisionTable decides about a collection by the first of its findings.
func newProvisionTable(f mapping.Finding) *provisionTable {
	t := &provisionTable{collection: f.Collection, missing: f.NoCollection && len(f.Namesakes) == 0}
	switch n := len(f.Namesakes); {
	case n == 1:
		t.note = fmt.Sprintf("differs: it is there as %s; rename it in Copernica", f.Namesakes[0])
	case n > 1:
		t.note = fmt.Sprintf("differs: it is there %d times (%s); remove or rename all but the right one in Copernica", n, strings.Join(f.Namesakes, ", "))
	}
	return t
}

func newProvisionLine(f mapping.Finding, live []copernica.Field) *provisionLine {
	l := &provisionLine{finding: f, missing: f.State == mapping.Missing}
	for _, have := range live {
		if l.missing && strings.EqualFold(have.Name, f.Need.Name) {
			l.missing, l.note = false, fmt.Sprintf("differs: it is there as %s; rename it in Copernica", have.Name)
		}
	}
	switch f.State {
	case mapping.Different:
		l.note = fmt.Sprintf("differs: it is of type %s; change it in Copernica", f.Have.Type)
	case mapping.Short:
		l.note = fmt.Sprintf("differs: it holds %d characters, longer values are cut; lengthen it in Copernica", f.Have.Length)
	case mapping.Unindexed:
		l.note = "differs: it has no index, which makes look-ups slow; add one in Copernica"
	}
	return l
}

// fieldsOf returns the live fields of the profiles or of a collection.
func fieldsOf(schema copernica.Schema, collection string) []copernica.Field {
	if collection == "" {
		return schema.Fields
	}
	live, _ := schema.Collection(collection)
	return live.Fields
}

// blocked names what only the operator can mend, and without which values would be lost.
func (t *provisionTable) blocked() []string {
	if t.note != "" {
		return []string{"collection " + t.collection}
	}
	var names []string
	for _, l := range t.lines {
		if !l.finding.Harmful() || l.missing {
			continue
		}
		names = append(names, l.name())
	}
	return names
}

// name names the field and where it belongs.
func (l *provisionLine) name() string {
	if l.finding.Collection == "" {
		return l.finding.Need.Name
	}
	return l.finding.Need.Name + " of collection " + l.finding.Collection
}

// create makes what is missing, in order, up to the first that fails. What was made by
// then stays, and the next run of the command goes on behind it.
func (c *provisionCommand) create(ctx context.Context, db *copernica.Database, tables []*provisionTable) error {
	if c.DryRun {
		return nil
	}
	for _, t := range tables {
		if err := t.create(ctx, db); err != nil {
			return err
		}
	}
	return nil
}

func (t *provisionTable) create(ctx context.Context, db *copernica.Database) error {
	switch {
	case t.note != "":
		return nil // Copernica would take what is made below one name for another's
	case t.missing:
		if err := db.CreateCollection(ctx, t.collection); err != nil {
			return fmt.Errorf("create collection %s: %w", t.collection, err)
		}
		t.made = true
	}
	for _, l := range t.lines {
		if !l.missing {
			continue
		}
		need := l.finding.Need
		spec := copernica.FieldSpec{Name: need.Name, Type: string(need.Type), Length: need.Length, Index: need.Index}
		var err error
		if t.collection == "" {
			err = db.CreateField(ctx, spec)
		} else {
			err = db.CreateCollectionField(ctx, t.collection, spec)
		}
		if err != nil {
			return fmt.Errorf("create field %s: %w", l.name(), err)
		}
		l.made = true
	}
	return nil
}

func (c *provisionCommand) print(a *app, nameOrID string, db *copernica.Database, created bool, tables []*provisionTable) {
	switch {
	case db == nil:
		fmt.Fprintf(a.stdout, "database %s: will be created\n", nameOrID)
	case created:
		fmt.Fprintf(a.stdout, "database %s (id %d): created\n", db.Name(), db.ID())
	default:
		fmt.Fprintf(a.stdout, "database %s (id %d): exists\n", db.Name(), db.ID())
	}
	for _, t := range tables {
		fmt.Fprintln(a.stdout)
		if t.collection != "" {
			fmt.Fprintf(a.stdout, "collection %s: %s\n", t.collection, c.words(t.note, t.missing, t.made))
			if t.note != "" {
				continue
			}
			fmt.Fprintln(a.stdout)
		}
		columns := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(columns, "FIELD\tTYPE\tSTATE")
		for _, l := range t.lines {
			fmt.Fprintf(columns, "%s\t%s\t%s\n", l.finding.Need.Name, typeText(l.finding.Need), c.words(l.note, l.missing, l.made))
		}
		_ = columns.Flush() // as with every print to standard output
	}
}

// words say what became of a field or a collection.
func (c *provisionCommand) words(note string, missing, made bool) string {
	switch {
	case note != "":
		return note
	case made:
		return "created"
	case missing && c.DryRun:
		return "will be created"
	case missing:
		return "not created"
	default:
		return "exists"
	}
}

// typeText prints a type as Copernica's dashboard words it: text, 64 long, indexed.
func typeText(n mapping.Need) string {
	text := string(n.Type)
	if n.Length > 0 {
		text += fmt.Sprintf(" %d", n.Length)
	}
	if n.Index {
		text += ", indexed"
	}
	return text
}
