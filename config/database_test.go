package config_test

import (
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/config"
)

func TestStatePath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		environ []string
		want    string
		problem string
	}{
		{name: "systemd", environ: []string{"STATE_DIRECTORY=/var/lib/syncd:/var/lib/other", "HOME=/home/op"}, want: "/var/lib/syncd/syncd.db"},
		{name: "XDG", environ: []string{"XDG_STATE_HOME=/state", "HOME=/home/op"}, want: "/state/syncd/syncd.db"},
		{name: "relative XDG", environ: []string{"XDG_STATE_HOME=state", "HOME=/home/op"}, want: "/home/op/.local/state/syncd/syncd.db"},
		{name: "home", environ: []string{"HOME=/home/op"}, want: "/home/op/.local/state/syncd/syncd.db"},
		{name: "nowhere", problem: "neither STATE_DIRECTORY, XDG_STATE_HOME nor HOME"},
		{name: "absolute", environ: []string{"SYNCD_DATABASE_URL=sqlite:///srv/my shop.db"}, want: "/srv/my shop.db"},
		{name: "absolute with one slash", environ: []string{"SYNCD_DATABASE_URL=sqlite:/srv/x.db"}, want: "/srv/x.db"},
		{name: "relative", environ: []string{"SYNCD_DATABASE_URL=sqlite:data/x.db"}, want: "data/x.db"},
		{name: "memory", environ: []string{"SYNCD_DATABASE_URL=:memory:"}},
		{name: "memory with scheme", environ: []string{"SYNCD_DATABASE_URL=sqlite::memory:"}},
		{name: "postgres", environ: []string{"SYNCD_DATABASE_URL=postgres://me:hunter2@db/x"}, problem: "names a PostgreSQL server"},
		{name: "postgresql", environ: []string{"SYNCD_DATABASE_URL=postgresql:///x"}, problem: "names a PostgreSQL server"},
		{name: "plain path", environ: []string{"SYNCD_DATABASE_URL=/srv/hunter2.db"}, problem: "is of no known form"},
		{name: "mysql", environ: []string{"SYNCD_DATABASE_URL=mysql://me:hunter2@db/x"}, problem: "is of no known form"},
		{name: "host", environ: []string{"SYNCD_DATABASE_URL=sqlite://data/x.db"}, problem: "three slashes"},
		{name: "options", environ: []string{"SYNCD_DATABASE_URL=sqlite:x.db?mode=ro"}, problem: "options after the path"},
		{name: "no file", environ: []string{"SYNCD_DATABASE_URL=sqlite:"}, problem: "names no file"},
		{name: "folder", environ: []string{"SYNCD_DATABASE_URL=sqlite:///srv/"}, problem: "names no file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := config.Load(t.Context(), c.environ)
			if err != nil {
				t.Fatal(err)
			}
			got, err := cfg.StatePath()
			if got != c.want {
				t.Errorf("path %q, want %q", got, c.want)
			}
			switch {
			case c.problem == "" && err != nil:
				t.Error(err)
			case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem) || !strings.HasPrefix(err.Error(), "SYNCD_DATABASE_URL ")):
				t.Errorf("error %v, want one with %q", err, c.problem)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the error shows a part of the URL: %v", err)
			}
		})
	}
}

func TestStateServer(t *testing.T) {
	t.Parallel()
	const key = "SYNCD_ENCRYPTION_KEY=MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	for _, c := range []struct {
		name    string
		url     string
		place   string
		server  bool
		keyless bool
		problem string
	}{
		{name: "whole", url: "postgres://me:hunter2@db:5432/state?sslmode=verify-full", server: true, place: "postgres://db:5432/state"},
		{name: "long scheme", url: "postgresql://me@db/state", server: true, place: "postgres://db/state"},
		{name: "several hosts", url: "postgres://me:hunter2@one:5432,two:5432/state", server: true, place: "postgres://one:5432,two:5432/state"},
		{name: "a socket", url: "postgres:///state?host=/run/postgresql", server: true, place: "PostgreSQL at /run/postgresql, database state"},
		{name: "a service", url: "postgres://?service=state", server: true, place: "postgres://"},
		{name: "a file", url: "sqlite:/srv/x.db", place: "/srv/x.db"},
		{name: "memory", url: ":memory:", place: "memory"},
		{name: "no database", url: "postgres://me:hunter2@db", server: true, place: "postgres://db", problem: "SYNCD_DATABASE_URL names no database"},
		{name: "no address", url: "postgres://me:hunter2%@db/state", server: true, place: "PostgreSQL", problem: "SYNCD_DATABASE_URL is not an address"},
		{name: "no key", url: "postgres://db/state", server: true, keyless: true, place: "postgres://db/state", problem: "openssl rand -base64 32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			environ := []string{"SYNCD_DATABASE_URL=" + c.url}
			if !c.keyless {
				environ = append(environ, key)
			}
			cfg, err := config.Load(t.Context(), environ)
			if err != nil {
				t.Fatal(err)
			}
			url, server := cfg.StateServer()
			if server != c.server || server && url.Reveal() != c.url {
				t.Errorf("server %v", server)
			}
			if place := cfg.StatePlace(); place != c.place || strings.Contains(place, "hunter2") {
				t.Errorf("place %q, want %q", place, c.place)
			}
			err = cfg.Check(config.NeedState)
			switch {
			case c.problem == "" && err != nil:
				t.Error(err)
			case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
				t.Errorf("error %v, want one with %q", err, c.problem)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the error shows a part of the URL: %v", err)
			}
			if c.keyless {
				if err := cfg.Check(config.NeedDatabase); err != nil {
					t.Errorf("without a need for the key: %v", err)
				}
			}
		})
	}
}
