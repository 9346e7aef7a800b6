package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Scratch makes an empty database on the server that serverURL leads to, beside the one
// that it names, which is not touched. It returns the new one's address and drop, which
// removes it with everything in it and ends what is still connected. The role of
// serverURL must be allowed to create databases.
func Scratch(ctx context.Context, serverURL string) (address string, drop func(context.Context) error, err error) {
	name := "syncd_scratch_" + strings.ToLower(rand.Text()[:12])
	if err := onServer(ctx, serverURL, "make a database of its own", "CREATE DATABASE "+name+" ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0"); err != nil {
		return "", nil, err
	}
	drop = func(ctx context.Context) error {
		return onServer(ctx, serverURL, "drop database "+name, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}
	u, err := url.Parse(serverURL)
	if err != nil {
		return "", nil, errors.Join(badURL("cannot be read"), drop(ctx)) // its first use read it
	}
	query := u.Query()
	query.Del("dbname")
	u.Path, u.RawPath, u.RawQuery = "/"+name, "", query.Encode()
	return u.String(), drop, nil
}

// onServer sends one statement outside a transaction.
func onServer(ctx context.Context, serverURL, what, statement string) error {
	settings, err := settings(Config{URL: serverURL})
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, settings.ConnConfig)
	if err != nil {
		return explain(ctx, what, err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the statement has its answer
	_, err = conn.Exec(ctx, statement)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == codeNotAllowed {
		return &Error{Op: what, Problem: "the database role may not create databases: allow it with `ALTER ROLE … CREATEDB`, or use another role", Setup: true, Err: err}
	}
	if err != nil {
		return explain(ctx, what, err)
	}
	return nil
}
