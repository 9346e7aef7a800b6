package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// root is the repository, as the documents link into it.
var root = os.DirFS("..")

var (
	link     = regexp.MustCompile(`!?\[[^\]]*\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)
	fence    = regexp.MustCompile("(?ms)^```.*?^```")
	testName = regexp.MustCompile(`\bTest[A-Z0-9]\w*[A-Za-z0-9]\b`)
	code     = regexp.MustCompile("`([^`]+)`")
	variable = regexp.MustCompile(`^SYNCD_[A-Z_]*`)
	testFunc = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`)
	jsonName = regexp.MustCompile("`json:\"([a-z_]+)[,\"]")
)

// documents returns the texts of README.md and of everything under docs, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{"README.md": read(t, "README.md")}
	err := fs.WalkDir(root, "docs", func(name string, _ fs.DirEntry, err error) error {
		if err == nil && path.Ext(name) == ".md" {
			texts[name] = read(t, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := fs.ReadFile(root, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// goFiles returns the paths of the module's Go files.
func goFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || name == "bin"):
			return fs.SkipDir
		case path.Ext(name) == ".go":
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestLinksResolve follows every link inside the repository, to its heading too.
func TestLinksResolve(t *testing.T) {
	t.Parallel()
	texts := documents(t)
	for name, text := range texts {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			u, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: link %q: %v", name, m[1], err)
				continue
			}
			if u.Scheme != "" {
				continue // another site's
			}
			target := name
			if u.Path != "" {
				target = path.Join(path.Dir(name), u.Path)
			}
			if _, err := fs.Stat(root, target); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
				continue
			}
			if u.Fragment != "" && !slices.Contains(anchors(texts[target]), u.Fragment) {
				t.Errorf("%s links to %s: there is no such heading", name, m[1])
			}
		}
	}
}

// block is what begins a block of its own where a line of a paragraph was only wrapped.
var block = regexp.MustCompile(`^(?:>|#+ |\d+[.)] |[-+*] )`)

// TestParagraphsAreWhole finds lines that were wrapped so that they begin with a sign of
// Markdown's: a reader sees a quotation or a list there, and what the sign stood for is lost.
func TestParagraphsAreWhole(t *testing.T) {
	t.Parallel()
	for name, text := range documents(t) {
		before := ""
		for i, line := range strings.Split(fence.ReplaceAllStringFunc(text, func(code string) string {
			return strings.Repeat("\n", strings.Count(code, "\n"))
		}), "\n") {
			inside := before != "" && !strings.HasPrefix(before, " ") && !strings.HasPrefix(before, "|") && !block.MatchString(before)
			if inside && block.MatchString(line) {
				t.Errorf("%s:%d begins a block in the middle of a paragraph: %s", name, i+1, line)
			}
			before = line
		}
	}
}

// anchors are the fragments that the forge makes of a document's headings.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		out = append(out, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	}
	return out
}

// TestNamedTestsExist keeps the documents from naming a test that nobody runs.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	exist := map[string]bool{}
	for _, name := range goFiles(t) {
		for _, m := range testFunc.FindAllStringSubmatch(read(t, name), -1) {
			exist[m[1]] = strings.HasSuffix(name, "_test.go")
		}
	}
	named := 0
	for name, text := range documents(t) {
		for _, test := range testName.FindAllString(text, -1) {
			named++
			if !exist[test] {
				t.Errorf("%s names %s, which does not exist", name, test)
			}
		}
	}
	if named == 0 {
		t.Error("no document names a test: docs/promises.md must")
	}
}

// TestPicturesHaveTitles asks of every picture what a screen reader needs.
func TestPicturesHaveTitles(t *testing.T) {
	t.Parallel()
	pictures, err := fs.Glob(root, "docs/img/*.svg")
	if err != nil || len(pictures) == 0 {
		t.Fatalf("%d pictures, %v", len(pictures), err)
	}
	for _, name := range pictures {
		text := read(t, name)
		if !strings.Contains(text, "<title") || !strings.Contains(text, "viewBox") {
			t.Errorf("%s has no title or no viewBox", name)
		}
	}
}

// messages returns the pieces of the messages that docs/operations.md explains: what
// stands in code quotes in the first column of its tables, without the variable parts.
func messages(t *testing.T) []string {
	t.Helper()
	_, text, _ := strings.Cut(read(t, "docs/operations.md"), "\n## Error messages\n")
	text, _, found := strings.Cut(text, "\n## ")
	if !found {
		t.Fatal("docs/operations.md has no section on error messages")
	}
	var out []string
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
			for piece := range strings.SplitSeq(m[1], "…") {
				if piece = strings.Trim(variable.ReplaceAllString(piece, ""), " :"); len(piece) > 5 {
					out = append(out, piece)
				}
			}
		}
	}
	return out
}

// TestExplainedMessagesExist keeps the explanations in step with the program's words.
func TestExplainedMessagesExist(t *testing.T) {
	t.Parallel()
	var words []string // of each file, all its literals in a row
	for _, name := range goFiles(t) {
		if !strings.HasSuffix(name, "_test.go") {
			words = append(words, literals(t, name))
		}
	}
	pieces := messages(t)
	if len(pieces) < 50 {
		t.Errorf("only %d messages are explained", len(pieces))
	}
	for _, piece := range pieces {
		if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, piece) }) {
			t.Errorf("docs/operations.md explains %q, which the program does not say", piece)
		}
	}
}

// literals returns all string literals of a Go file in a row.
func literals(t *testing.T, name string) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, read(t, name), parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				all.WriteString(text)
			}
		}
		return true
	})
	return all.String()
}

// TestPrintedNamesAreExplained asks of the documents every name that a command prints as
// JSON, in code quotes or in an example.
func TestPrintedNamesAreExplained(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"cmd/syncd/status.go":      "docs/status.md",
		"cmd/syncd/dead_text.go":   "docs/status.md",
		"cmd/syncd/claims_text.go": "docs/status.md",
		"cmd/syncd/lookup_text.go": "docs/status.md",
		"cmd/syncd/lookup_live.go": "docs/status.md",
		"cmd/syncd/verify_text.go": "docs/status.md",
		"state/state.go":           "docs/status.md", // the counters of a run
		"sync/doctor/report.go":    "docs/operations.md",
	} {
		names := jsonName.FindAllStringSubmatch(read(t, name), -1)
		if len(names) == 0 {
			t.Errorf("%s prints no names: does another file now?", name)
		}
		text := read(t, document)
		for _, m := range names {
			said := regexp.MustCompile("[`.\"]" + m[1] + "[`\"]")
			if !said.MatchString(text) {
				t.Errorf("%s does not explain %q, which %s prints", document, m[1], name)
			}
		}
	}
}
