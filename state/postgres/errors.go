package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/magento-copernica/syncd/state"
)

// Error is a failure of the server, or of the way to it, with what an operator can do.
// Nothing in it is a secret.
type Error struct {
	Op      string // what was being done
	Problem string // what is wrong and what to do
	Setup   bool   // only other settings, at the server or here, mend it: trying again does not
	Err     error  // what the server or the network said; may be nil
}

func (e *Error) Error() string {
	text := e.Op + ": " + e.Problem
	if e.Err != nil {
		// A failure to connect to several addresses comes in several lines.
		text += ": " + strings.Join(strings.Fields(e.Err.Error()), " ")
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Codes of PostgreSQL's appendix A that are told apart.
const (
	codeReadOnly        = "25006"
	codeIdleTooLong     = "25P03"
	codeBadUser         = "28000"
	codeBadPassword     = "28P01"
	codeNoDatabase      = "3D000"
	codeNotAllowed      = "42501"
	codeNoTable         = "42P01"
	codeNoSchema        = "3F000"
	codeDiskFull        = "53100"
	codeOutOfMemory     = "53200"
	codeTooManyClients  = "53300"
	codeLockNotGiven    = "55P03"
	codeCanceled        = "57014"
	codeAdminShutdown   = "57P01"
	codeCrashShutdown   = "57P02"
	codeCannotConnect   = "57P03"
	classConnection     = "08"
	classIntegrity      = "23"
	classRollback       = "40"
	namesDatabaseURL    = "SYNCD_DATABASE_URL"
	adviceReadOnly      = "the server takes no writes (a standby, or default_transaction_read_only): let " + namesDatabaseURL + " lead to the primary, or name all servers in it and add target_session_attrs=read-write"
	adviceTooMany       = "the server has no connection left for syncd: close some, raise max_connections or the limit of this role or database, or add pool_max_conns=2 to " + namesDatabaseURL
	adviceUnreachable   = "the PostgreSQL server cannot be reached: start it, or check the address in " + namesDatabaseURL
	adviceBadLogin      = "the PostgreSQL server refuses this user or password: correct " + namesDatabaseURL + ", or the server's pg_hba.conf"
	adviceCertificate   = "the PostgreSQL server's certificate cannot be trusted: name its authority with sslrootcert=FILE in " + namesDatabaseURL
	adviceNoTLS         = "the PostgreSQL server offers no TLS, which is asked for between machines: switch it on, or, where nobody can listen in, add sslmode=disable to " + namesDatabaseURL
	adviceNotAllowed    = "the database role may not do this: make the schema with `CREATE SCHEMA syncd AUTHORIZATION role`, or run `syncd migrate` as a role that may"
	adviceTablesMissing = "the state's tables are not there: run `syncd migrate`"
)

// advice says what an operator can do about an error code.
func advice(code string) (problem string, setup bool) {
	switch code {
	case codeReadOnly:
		return adviceReadOnly, false
	case codeBadUser, codeBadPassword:
		return adviceBadLogin, true
	case codeNoDatabase:
		return "the database does not exist: create it with `CREATE DATABASE … ENCODING 'UTF8'`, or correct " + namesDatabaseURL, true
	case codeNotAllowed:
		return adviceNotAllowed, true
	case codeNoTable, codeNoSchema:
		return adviceTablesMissing, true
	case codeDiskFull:
		return "the server's disk is full: make room", false
	case codeOutOfMemory:
		return "the server is out of memory", false
	case codeTooManyClients:
		return adviceTooMany, false
	case codeLockNotGiven:
		return fmt.Sprintf("another process has been writing the state for %s: stop it or try again", lockLimit), false
	case codeCanceled:
		return fmt.Sprintf("the server did not finish within %s, or an administrator cancelled it: try again", statementLimit), false
	case codeIdleTooLong:
		return fmt.Sprintf("this process stood still for more than %s in the middle of a write: try again", idleLimit), false
	case codeAdminShutdown, codeCrashShutdown, codeCannotConnect:
		return "the server is stopping or starting: try again when it is up", false
	}
	return "", false
}

// explain wraps a database's error, names the stop of the caller as such, and adds
// what an operator can do.
func explain(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if stop := ctx.Err(); stop != nil {
		return fmt.Errorf("%s: %w", what, stop)
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		if problem, setup := advice(e.Code); problem != "" {
			return &Error{Op: what, Problem: problem, Setup: setup, Err: err}
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	switch {
	case certificate(err):
		return &Error{Op: what, Problem: adviceCertificate, Setup: true, Err: err}
	case strings.Contains(err.Error(), "server refused TLS connection"): // pgconn has no type for it
		return &Error{Op: what, Problem: adviceNoTLS, Setup: true, Err: err}
	case (is[*pgconn.ConnectError](err) || broken(err)) && !errors.Is(err, ErrUnknown):
		return &Error{Op: what, Problem: adviceUnreachable, Err: err}
	}
	return fmt.Errorf("%s: %w", what, err)
}

func certificate(err error) bool {
	return is[*tls.CertificateVerificationError](err) || is[x509.UnknownAuthorityError](err) || is[x509.HostnameError](err)
}

// broken reports whether the connection went away under a call, or was found gone before
// anything was sent.
func broken(err error) bool {
	return is[*net.OpError](err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// passing reports whether a transaction that failed so may go well another time. What
// closed its connection is not looked at here.
func passing(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case codeTooManyClients, codeAdminShutdown, codeCrashShutdown, codeCannotConnect, codeIdleTooLong:
			return true
		}
		return class(e) == classRollback || class(e) == classConnection
	}
	return false
}

// undone reports whether an answer to COMMIT says that nothing was kept.
func undone(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return class(e) == classRollback || class(e) == classIntegrity
	}
	return errors.Is(err, pgx.ErrTxCommitRollback)
}

// code is that of what the server said, or empty.
func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

func class(e *pgconn.PgError) string { return e.Code[:min(2, len(e.Code))] }

// ours reports whether an error was made in this package or by the contract, so that
// the server has nothing to do with it.
func ours(err error) bool {
	return errors.Is(err, state.ErrFenced) || errors.Is(err, state.ErrConflict) || errors.Is(err, errClosed)
}
