package config_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/magento-copernica/syncd/config"
)

var update = flag.Bool("update", false, "rewrite the generated parts of docs/configuration.md and .env.example")

const (
	tableBegin = "<!-- The table is generated: make generate -->\n"
	tableEnd   = "<!-- end of the table -->"
)

// TestGeneratedTable holds docs/configuration.md to the struct.
func TestGeneratedTable(t *testing.T) {
	t.Parallel()
	const path = "../docs/configuration.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(page), tableBegin)
	_, tail, closed := strings.Cut(rest, tableEnd)
	if !ok || !closed {
		t.Fatalf("%s lacks the marks of its table", path)
	}
	compare(t, path, string(page), head+tableBegin+config.Markdown()+tableEnd+tail)
}

func TestGeneratedDotenv(t *testing.T) {
	t.Parallel()
	const path = "../.env.example"
	have, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	compare(t, path, string(have), config.Dotenv())
}

func compare(t *testing.T, path, have, want string) {
	t.Helper()
	if have == want {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s is out of date, run `make generate` (-file +struct):\n%s", path, cmp.Diff(have, want))
}

// TestDotenvLoads proves that the example, with every line in force, is valid
// but for the credentials it leaves empty and the file it cannot know.
func TestDotenvLoads(t *testing.T) {
	t.Parallel()
	var environ []string
	for line := range strings.Lines(config.Dotenv()) {
		if setting, ok := strings.CutPrefix(strings.TrimSpace(line), "#SYNCD_"); ok {
			environ = append(environ, "SYNCD_"+setting)
		}
	}
	if len(environ) != len(config.Variables()) {
		t.Errorf("%d settings, want %d", len(environ), len(config.Variables()))
	}
	cfg, err := config.Load(t.Context(), environ)
	if err != nil {
		t.Fatal(err)
	}
	cfg.EncryptionKey = config.NewSecret("a credential, which the example leaves empty")
	if err := cfg.Check(config.NeedState); err != nil {
		t.Error(err)
	}
}

func TestEveryVariableIsDescribed(t *testing.T) {
	t.Parallel()
	for _, v := range config.Variables() {
		if !strings.HasSuffix(v.Description, ".") {
			t.Errorf("%s: description %q is no sentence", v.Name, v.Description)
		}
		for _, field := range []string{v.Description, v.Default, v.Shown, v.Example} {
			if strings.ContainsAny(field, "|<\n") {
				t.Errorf("%s: %q does not fit a table", v.Name, field)
			}
		}
	}
}
