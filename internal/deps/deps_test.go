package deps_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/magento-copernica/syncd"

// anything allows a package all of ours.
const anything = "..."

// rule says which packages of ours a package may depend on, directly or not.
type rule struct {
	pkg     string
	allowed []string // paths inside the module; "x/..." means x and all below
	tests   bool     // the package's tests are held to the rule too
	reason  string
}

// witness are the packages that judge the rest, and the recorded answers of real
// shops, which are data.
var witness = []string{"magento/magentotest", "copernica/copernicatest", "internal/oracle", "internal/emulator", "internal/recording"}

const (
	leafReason    = "it is a leaf that every other package may use"
	clientReason  = "a client knows one peer and the transport; sync/mapping is where the peers meet, and the engine where they meet the state"
	witnessReason = "it is the independent witness: code shared with what it judges would hide that code's mistakes"
	tieReason     = "the commands tie everything together, and nothing depends on them"
)

// rules has one entry for each package; a package without one fails the test, so that
// its place is thought about once.
var rules = []rule{
	{pkg: "config", reason: "commands read it without pulling in a peer or a store"},
	{pkg: "internal/deps", reason: leafReason},
	{pkg: "internal/fault", reason: leafReason},
	{pkg: "internal/health", reason: "it is told how things stand, and knows neither the streams nor the state"},
	{pkg: "internal/recording", tests: true, reason: "it reads recorded answers for the tests of both sides, and is part of neither"},
	{pkg: "internal/seal", reason: leafReason},
	{pkg: "internal/tombstone", allowed: []string{"state", "internal/seal"}, reason: "it keeps tombstones outside the state, and knows neither peer"},
	{pkg: "internal/httpx", allowed: []string{"internal/fault"}, reason: "the transport serves both peers alike and knows neither"},

	{pkg: "magento", allowed: []string{"internal/httpx", "internal/fault"}, reason: clientReason},
	{pkg: "copernica", allowed: []string{"internal/httpx", "internal/fault"}, reason: clientReason},

	{pkg: "magento/magentotest", allowed: witness, tests: true, reason: witnessReason},
	{pkg: "copernica/copernicatest", allowed: witness, tests: true, reason: witnessReason},
	{pkg: "internal/oracle", allowed: witness, tests: true, reason: witnessReason},
	{pkg: "internal/emulator", allowed: witness, tests: true, reason: witnessReason},

	{pkg: "state", reason: "the state knows neither peer and no database: ids, keyed hashes, numbers, dates"},
	{pkg: "state/statetest", allowed: []string{"state"}, reason: "the conformance suite knows the contract and no implementation"},
	{pkg: "state/sqlite", allowed: []string{"state", "internal/seal"}, reason: "a store keeps what it is given and knows neither peer"},
	{pkg: "state/postgres", allowed: []string{"state", "internal/seal"}, reason: "a store keeps what it is given and knows neither peer"},

	{pkg: "sync/mapping", allowed: []string{"magento", "copernica", "internal/httpx", "internal/fault"}, reason: "mapping is a pure function from one peer's types to the other's"},
	{
		pkg: "sync/engine", allowed: []string{"sync/mapping", "magento", "copernica", "state", "internal/httpx", "internal/fault"},
		reason: "the engine works with whichever store, is given its settings, and never meets an emulator",
	},
	{
		pkg: "sync/doctor", allowed: []string{"sync/mapping", "magento", "copernica", "state", "internal/httpx", "internal/fault"},
		reason: "the checks look at both peers and the state through what the commands open, and know no settings",
	},
	{
		pkg: "sync/schedule", allowed: []string{"sync/engine", "sync/mapping", "magento", "copernica", "state", "internal/httpx", "internal/fault"},
		reason: "the schedule decides when the engine works, on whichever store, and never how",
	},

	{pkg: "cmd/syncd", allowed: []string{anything}, reason: tieReason},
	{pkg: "internal/pgtest", tests: true, reason: "it gives tests a database, whatever they keep there"},
	{pkg: "internal/demo", allowed: []string{anything}, reason: tieReason},
	{pkg: "internal/sabotage", tests: true, reason: "it plants defects from outside and judges by what the go command says"},
	{pkg: "docs", tests: true, reason: "its test reads files, and no package"},
	{pkg: "deploy", allowed: []string{"config"}, tests: true, reason: "its tests know the settings, and the program as whoever installs it does"},
}

// pkg is what `go list -json` says of a package.
type pkg struct {
	Dir, ImportPath, Name              string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Deps, TestImports, XTestImports    []string
}

// list returns our packages. It opens the module's folders and Go files itself as
// well: the test cache does not see what a child process reads, and would repeat an old
// verdict over a new import.
func list(t *testing.T) []pkg {
	t.Helper()
	root := os.DirFS(filepath.Join("..", ".."))
	err := fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "bin"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go"):
			_, err = fs.ReadFile(root, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=Dir,ImportPath,Name,GoFiles,TestGoFiles,XTestGoFiles,Deps,TestImports,XTestImports", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}

// inside returns the path of one of our packages inside the module.
func inside(path string) (string, bool) { return strings.CutPrefix(path, module+"/") }

func (r rule) allows(path string) bool {
	return path == r.pkg || slices.ContainsFunc(r.allowed, func(a string) bool {
		if a == anything {
			return path != "cmd/syncd"
		}
		below, deep := strings.CutSuffix(a, "/...")
		return path == below || deep && strings.HasPrefix(path, below+"/")
	})
}

func TestImportDirections(t *testing.T) {
	t.Parallel()
	pkgs := list(t)
	byPath := make(map[string]pkg)
	for _, p := range pkgs {
		byPath[p.ImportPath] = p
	}

	for _, p := range pkgs {
		path, _ := inside(p.ImportPath)
		i := slices.IndexFunc(rules, func(r rule) bool { return r.pkg == path })
		if i < 0 {
			t.Errorf("%s has no rule: say in internal/deps what it may import, and why", path)
			continue
		}
		for _, problem := range violations(p, rules[i], byPath) {
			t.Error(problem)
		}
	}
}

// violations returns what p imports against r, in words.
func violations(p pkg, r rule, byPath map[string]pkg) []string {
	var out []string
	check := func(how string, imports []string) {
		for _, dep := range imports {
			if path, ours := inside(dep); ours && !r.allows(path) {
				out = append(out, fmt.Sprintf("%s %s %s, but %s", r.pkg, how, path, r.reason))
			}
		}
	}
	check("depends on", p.Deps)
	if r.tests {
		direct := slices.Concat(p.TestImports, p.XTestImports)
		check("is tested with", direct)
		for _, path := range direct {
			check("is tested with (indirectly)", byPath[path].Deps)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestRulesBite proves that a planted import is seen.
func TestRulesBite(t *testing.T) {
	t.Parallel()
	ours := func(paths ...string) []string {
		for i := range paths {
			paths[i] = module + "/" + paths[i]
		}
		return paths
	}
	for _, c := range []struct {
		name string
		pkg  string
		have pkg
		want int
	}{
		{"a leaf", "config", pkg{Deps: ours("internal/fault")}, 1},
		{"the other peer", "magento", pkg{Deps: ours("copernica", "internal/httpx", "internal/fault")}, 1},
		{"own emulator", "magento", pkg{Deps: ours("magento/magentotest")}, 1},
		{"the witness", "internal/oracle", pkg{Deps: ours("magento/magentotest", "sync/mapping")}, 1},
		{"the witness's tests", "magento/magentotest", pkg{XTestImports: ours("magento")}, 1},
		{"a client's tests", "magento", pkg{XTestImports: ours("magento/magentotest")}, 0},
		{"a store", "sync/engine", pkg{Deps: ours("state", "state/sqlite")}, 1},
		{"the other store", "state/postgres", pkg{Deps: ours("state", "state/sqlite", "internal/pgtest")}, 2},
		{"the commands", "cmd/syncd", pkg{Deps: ours("state/sqlite", "magento/magentotest")}, 0},
		{"other people's", "state", pkg{Deps: []string{"context", "github.com/google/uuid"}}, 0},
	} {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.pkg == c.pkg })
		if got := violations(c.have, rules[i], nil); len(got) != c.want {
			t.Errorf("%s: %d violations, want %d: %v", c.name, len(got), c.want, got)
		}
	}
}

// TestBinaryIsFreeOfTests keeps test code out of the binary: package testing
// registers flags, and httptest opens listeners.
func TestBinaryIsFreeOfTests(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		if p.ImportPath != module+"/cmd/syncd" {
			continue
		}
		for _, dep := range []string{"testing", "net/http/httptest", "github.com/google/go-cmp/cmp"} {
			if slices.Contains(p.Deps, dep) {
				t.Errorf("cmd/syncd depends on %s: move what uses it into a _test.go file", dep)
			}
		}
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		if len(p.GoFiles) == 0 {
			continue // only tests: nobody reads its documentation
		}
		var docs []string
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if file.Doc != nil {
				docs = append(docs, file.Doc.Text())
			}
		}
		start := "Package " + p.Name + " "
		if p.Name == "main" {
			start = strings.ToUpper(filepath.Base(p.Dir)[:1]) + filepath.Base(p.Dir)[1:] + " "
		}
		switch {
		case len(docs) != 1:
			t.Errorf("%s has %d package comments, want one that says what it is for", p.ImportPath, len(docs))
		case !strings.HasPrefix(docs[0], start):
			t.Errorf("the comment of %s does not begin with %q", p.ImportPath, start)
		}
	}
}
