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
		{name: "postgres", environ: []string{"SYNCD_DATABASE_URL=postgres://me:hunter2@db/x"}, problem: "arrives with a later version"},
		{name: "postgresql", environ: []string{"SYNCD_DATABASE_URL=postgresql:///x"}, problem: "arrives with a later version"},
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
