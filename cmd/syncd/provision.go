package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// provisionCommand brings the Copernica database to what the mapping needs. It
// creates and never deletes, renames or retypes: what differs is shown and left to
// the operator. With --dry-run it writes nothing. A database that is missing beside
// others may be a misspelt one, so it is created only with --create-database; an account
// that has none gets its first.
type provisionCommand struct {
	DryRun         bool `help:"Show what would be created, and create nothing."`
	CreateDatabase bool `help:"Create the database also beside others; without it only an account that has none gets one."`
}

func (c *provisionCommand) Run(ctx context.Context, a *app) error {
	cfg, log, err := a.configure(ctx, config.NeedCopernica)
	if err != nil {
		return err
	}
	needed, err := compileMapping(cfg)
	if err != nil {
		return err
	}
	client, transport, err := a.openCopernica(cfg, log)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()

	db, created, err := c.database(ctx, client, cfg.Copernica.Database)
	if err != nil {
		return err
	}
	var schema copernica.Schema
	if db != nil {
		schema = db.Schema()
	}
	lines := plan(needed.Check(schema), schema)
	failure := c.create(ctx, db, lines)
	c.print(a, cfg.Copernica.Database, db, created, lines)

	var blocked []string
	for _, l := range lines {
		if l.finding.Harmful() && !l.missing {
			blocked = append(blocked, l.finding.Need.Name)
		}
	}
	if blocked != nil {
		failure = errors.Join(failure, &config.Error{Problem: fmt.Sprintf("database %s differs in a way that would lose values (%s): change it in Copernica as shown, then run `syncd provision` again",
			cfg.Copernica.Database, strings.Join(blocked, ", "))})
	}
	return failure
}

// compileMapping returns the mapping in force.
func compileMapping(cfg config.Config) (*mapping.Mapping, error) {
	file, err := mapping.Default()
	if err != nil {
		return nil, err
	}
	return file.Compile(mapping.Options{Shop: cfg.Shop, Zone: cfg.TimeZone.Location()})
}

// database finds the database or creates it. In a dry run a missing one is nil.
func (c *provisionCommand) database(ctx context.Context, client *copernica.Client, nameOrID string) (db *copernica.Database, created bool, err error) {
	db, err = client.Database(ctx, nameOrID)
	switch {
	case !errors.Is(err, copernica.ErrNoDatabase):
		return db, false, err
	case strings.Trim(nameOrID, "0123456789") == "":
		return nil, false, err // an id cannot be created, and a name of digits could not be found again
	}
	if err := c.mayCreate(ctx, client, nameOrID); err != nil {
		return nil, false, err
	}
	if c.DryRun {
		return nil, true, nil
	}
	db, err = client.CreateDatabase(ctx, nameOrID, "Filled by syncd")
	return db, true, err
}

// mayCreate returns an error with the names that exist when the missing one may be a
// misspelt one of them.
func (c *provisionCommand) mayCreate(ctx context.Context, client *copernica.Client, name string) error {
	if c.CreateDatabase {
		return nil
	}
	existing, err := client.Databases(ctx)
	if err != nil || len(existing) == 0 {
		return err
	}
	return &config.Error{
		Variable: config.Prefix + "COPERNICA_DATABASE",
		Problem: fmt.Sprintf("is %s, and the account has no database of that name, but %s: set it to one of these, or run `syncd provision --create-database`",
			name, databaseNames(existing)),
	}
}

// databaseNames lists the names of databases for a message.
func databaseNames(databases []copernica.DatabaseInfo) string {
	const most = 10
	names := make([]string, 0, most)
	for _, d := range databases[:min(most, len(databases))] {
		names = append(names, d.Name)
	}
	text := strings.Join(names, ", ")
	if more := len(databases) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// provisionLine is what becomes of one field.
type provisionLine struct {
	finding mapping.Finding
	missing bool   // it can be created
	made    bool   // it was
	note    string // why not, or what differs
}

// plan decides for each finding. A field that exists in other letters cannot be
// created beside itself, since Copernica matches names in any case.
func plan(findings []mapping.Finding, schema copernica.Schema) []*provisionLine {
	lines := make([]*provisionLine, len(findings))
	for i, f := range findings {
		l := &provisionLine{finding: f, missing: f.State == mapping.Missing}
		for _, have := range schema.Fields {
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
		lines[i] = l
	}
	return lines
}

// create makes the missing fields, in order, up to the first that fails.
func (c *provisionCommand) create(ctx context.Context, db *copernica.Database, lines []*provisionLine) error {
	if c.DryRun {
		return nil
	}
	for _, l := range lines {
		if !l.missing {
			continue
		}
		need := l.finding.Need
		err := db.CreateField(ctx, copernica.FieldSpec{
			Name: need.Name, Type: string(need.Type), Length: need.Length, Index: need.Index,
		})
		if err != nil {
			return fmt.Errorf("create field %s: %w", need.Name, err)
		}
		l.made = true
	}
	return nil
}

func (c *provisionCommand) print(a *app, nameOrID string, db *copernica.Database, created bool, lines []*provisionLine) {
	switch {
	case db == nil:
		fmt.Fprintf(a.stdout, "database %s: will be created\n\n", nameOrID)
	case created:
		fmt.Fprintf(a.stdout, "database %s (id %d): created\n\n", db.Name(), db.ID())
	default:
		fmt.Fprintf(a.stdout, "database %s (id %d): exists\n\n", db.Name(), db.ID())
	}

	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FIELD\tTYPE\tSTATE")
	for _, l := range lines {
		state := l.note
		switch {
		case state != "":
		case l.made:
			state = "created"
		case l.missing && c.DryRun:
			state = "will be created"
		case l.missing:
			state = "not created"
		default:
			state = "exists"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", l.finding.Need.Name, typeText(l.finding.Need), state)
	}
	_ = table.Flush() // as with every print to standard output
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
