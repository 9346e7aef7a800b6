package postgres

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Limits of a connection. A process that is stopped in the middle of a transaction
// holds its pipeline's row for idleLimit, which a successor's lockLimit outlasts.
const (
	connectLimit   = 10 * time.Second
	statementLimit = 60 * time.Second
	lockLimit      = 20 * time.Second
	idleLimit      = 15 * time.Second

	defaultConnections = 8
)

// settings turns a Config into those of the pool. Its errors show nothing of the URL.
func settings(cfg Config) (*pgxpool.Config, error) {
	address, err := url.Parse(cfg.URL)
	if err != nil || address.Scheme != "postgres" && address.Scheme != "postgresql" {
		return nil, badURL("has not the form postgres://user:password@host:5432/database, or a character in it needs to be percent-encoded")
	}
	parsed, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, badURL("has a parameter that cannot be used: check its port, its sslmode and the files that it or the PG… variables name")
	}
	query := address.Query()
	if !query.Has("sslmode") && !query.Has("service") && os.Getenv("PGSSLMODE") == "" && os.Getenv("PGSERVICE") == "" && remote(parsed.ConnConfig) {
		query.Set("sslmode", "verify-full")
		address.RawQuery = query.Encode()
		if parsed, err = pgxpool.ParseConfig(address.String()); err != nil {
			return nil, badURL("leads to another machine, and the certificates to check that one with cannot be read: check sslrootcert")
		}
	}
	switch {
	case cfg.Connections > 0:
		parsed.MaxConns = int32(min(cfg.Connections, 1000))
	case !query.Has("pool_max_conns"):
		parsed.MaxConns = defaultConnections
	}
	parsed.ConnConfig.ConnectTimeout = min(connectLimit, orMax(parsed.ConnConfig.ConnectTimeout))
	defaults := map[string]string{
		"application_name":                    "syncd",
		"statement_timeout":                   milliseconds(statementLimit),
		"lock_timeout":                        milliseconds(lockLimit),
		"idle_in_transaction_session_timeout": milliseconds(idleLimit),
		// The server finds a machine that went away within about a minute.
		"tcp_keepalives_idle":     "20",
		"tcp_keepalives_interval": "10",
		"tcp_keepalives_count":    "4",
		// What was planned for the first, small arrays is wrong for a ledger that has grown.
		"plan_cache_mode": "force_custom_plan",
	}
	for name, value := range defaults {
		if _, given := parsed.ConnConfig.RuntimeParams[name]; !given {
			parsed.ConnConfig.RuntimeParams[name] = value
		}
	}
	parsed.AfterConnect = prepare
	return parsed, nil
}

// prepare makes a connection durable whose server or role is set otherwise.
func prepare(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
	return err
}

func badURL(problem string) error {
	return &Error{Op: "open the state", Problem: "the address of the PostgreSQL server " + problem, Setup: true}
}

// remote reports whether one of the servers is not reached inside this machine.
func remote(c *pgx.ConnConfig) bool {
	hosts := []string{c.Host}
	for _, f := range c.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	for _, host := range hosts {
		if !local(host) {
			return true
		}
	}
	return false
}

// local reports whether a host is a Unix socket's folder or a loopback address. The
// name localhost and those below it are reserved for that (RFC 6761, section 6.3).
func local(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
		return true
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// place names the server and database of a connection for people.
func place(c *pgx.ConnConfig) string {
	if strings.HasPrefix(c.Host, "/") {
		return c.Host + ", database " + c.Database
	}
	return net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))) + ", database " + c.Database
}

// orMax turns "no limit" into the largest one.
func orMax(d time.Duration) time.Duration {
	if d <= 0 {
		return 1<<63 - 1
	}
	return d
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
