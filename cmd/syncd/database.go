package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica"
)

// openDatabase opens the configured database. That it is missing says what the account
// has instead: a misspelt name is likelier than one that was never created.
// What the state belongs to is empty before its first run.
func openDatabase(ctx context.Context, client *copernica.Client, nameOrID, target string) (*copernica.Database, error) {
	db, err := client.Database(ctx, nameOrID)
	if err == nil || !errors.Is(err, copernica.ErrNoDatabase) {
		return db, err
	}
	existing, unlisted := client.Databases(ctx)
	if target != "" {
		return nil, &noDatabaseError{&config.Error{
			Variable: config.Prefix + "COPERNICA_DATABASE",
			Problem: fmt.Sprintf("is %s, and the account has no such database: this state belongs to %s for good, so set it back%s",
				nameOrID, target, named(existing, target)),
		}, err}
	}
	if unlisted != nil {
		return nil, err // which says what to do, without the names
	}
	return nil, &noDatabaseError{noDatabase(nameOrID, existing), err}
}

// noDatabaseError is a database that the account does not have.
type noDatabaseError struct {
	told *config.Error
	err  error
}

func (e *noDatabaseError) Error() string { return e.told.Error() }

// Unwrap gives the answer of Copernica, which has the class.
func (e *noDatabaseError) Unwrap() error { return e.err }

// noDatabase says what to do about a database that is not among the existing ones.
func noDatabase(nameOrID string, existing []copernica.DatabaseInfo) *config.Error {
	what, create := "name", ", or run `syncd provision --create-database`, which creates it"
	if strings.Trim(nameOrID, "0123456789") == "" {
		what, create = "id", "" // an id cannot be chosen, and a name of digits could not be found again
	}
	e := &config.Error{Variable: config.Prefix + "COPERNICA_DATABASE"}
	switch {
	case len(existing) > 0:
		e.Problem = fmt.Sprintf("is %s, and the account has no database of that %s, but %s: set it to one of these%s", nameOrID, what, databaseNames(existing), create)
	case create == "":
		e.Problem = fmt.Sprintf("is %s, and the account has no database at all: set it to a name and run `syncd provision`, which creates it", nameOrID)
	default:
		e.Problem = fmt.Sprintf("is %s, and the account has no database at all: run `syncd provision`, which creates it", nameOrID)
	}
	return e
}

// named names the database that a state belongs to, if it is there.
func named(existing []copernica.DatabaseInfo, target string) string {
	for _, d := range existing {
		if fmt.Sprintf("Copernica database %d", d.ID) == target {
			return " to " + d.Name
		}
	}
	return ""
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
