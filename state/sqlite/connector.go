package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

// pool opens a pool that keeps its connections until it is closed.
func pool(dsn string, connections int) *sql.DB {
	db := sql.OpenDB(connector{&sqlite.Driver{}, dsn})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

// connector opens connections that parse each query once: parsing takes longer than most
// of the queries here, whose texts are constants of this package.
//
// A value that SQLite would look at to choose an index has it parse the query again at each
// execution. The queries hide such values from it: an entity, which the conditions of
// indexes name, as +?, and a limit as ? + 0.
type connector struct {
	driver *sqlite.Driver
	dsn    string
}

func (c connector) Driver() driver.Driver { return c.driver }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	opened, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	base, ok := opened.(connection)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's connection, a %T, lacks what syncd needs", opened), opened.Close())
	}
	return &conn{connection: base, parsed: map[string]statement{}}, nil
}

// connection is what the driver's connections can do.
type connection interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// statement is what the driver's statements can do.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// conn keeps the statements that it has parsed. No query is begun while the same connection
// reads the rows of the same query: all rows are collected first.
type conn struct {
	connection
	parsed map[string]statement
}

func (c *conn) statement(ctx context.Context, query string) (statement, error) {
	if s, ok := c.parsed[query]; ok {
		return s, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(statement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's statement, a %T, lacks what syncd needs", prepared), prepared.Close())
	}
	c.parsed[query] = s
	return s, nil
}

// QueryContext begins a query.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args)
}

// ExecContext executes a statement.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args)
}

// Close gives the statements back, then the connection.
func (c *conn) Close() error {
	var errs []error
	for _, s := range c.parsed {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.connection.Close())...)
}
