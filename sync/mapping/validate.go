package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// checker gathers the mistakes of a mapping file, each with the line it stands on.
type checker struct {
	tree *ast.File // nil: lines are not known
	errs []error
}

// problem notes a mistake at a place such as $.orders.fields[2]; the nearest place
// around it that is there gives the line.
func (c *checker) problem(at, format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if n := c.line(at); n > 0 {
		err = fmt.Errorf("line %d: %w", n, err)
	}
	c.errs = append(c.errs, err)
}

func (c *checker) line(at string) int {
	for c.tree != nil && strings.Contains(at, ".") {
		if path, err := yaml.PathString(at); err == nil {
			if node, err := path.FilterFile(c.tree); err == nil && node != nil {
				return start(node)
			}
		}
		at = at[:strings.LastIndexByte(at, '.')]
	}
	return 0
}

// start is the line on which a node begins; that of a mapping is its first key's.
func start(node ast.Node) int {
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 {
		node = m.Values[0].Key
	}
	if v, ok := node.(*ast.MappingValueNode); ok {
		node = v.Key
	}
	return node.GetToken().Position.Line
}

func (f *File) validate(data []byte) error {
	c := &checker{}
	if tree, err := parser.ParseBytes(data, 0); err == nil {
		c.tree = tree
	}
	if f.Version != 1 {
		c.problem("$.version", "version is %d; this syncd reads version 1", f.Version)
	}
	if f.Identity != "" && f.Identity != ByAccount && f.Identity != ByEmail {
		c.problem("$.identity", "identity %q: use %s (the default) or %s", f.Identity, ByAccount, ByEmail)
	}
	p := section{checker: c, at: "$.profile", seen: map[string]bool{}, keyLength: KeyLength}
	if f.Orders != nil {
		p.keyLength = GuestKeyLength // their profiles are guests' too
	}
	p.fields(f.Profile.Key, f.Profile.Fields, profileKinds())
	p.consent(f.Profile.Consent)
	if (f.Orders == nil) != (f.Items == nil) {
		c.problem("$.profile", "sections orders and items stand together or are left out together")
	}
	collections := map[string]bool{}
	if f.Orders != nil {
		o := section{checker: c, at: "$.orders", seen: map[string]bool{}, keyLength: KeyLength}
		o.collection(f.Orders.Collection, collections)
		if f.Orders.Gone != "" {
			c.problem("$.orders.gone", "gone is a rule for items only")
		}
		o.fields(f.Orders.Key, f.Orders.Fields, kindsOf(orderSources))
		o.optional(f.Orders.Fields)
	}
	if f.Items != nil {
		i := section{checker: c, at: "$.items", seen: map[string]bool{}, keyLength: KeyLength}
		i.collection(f.Items.Collection, collections)
		if !slices.Contains([]Gone{"", GoneRemove, GoneKeep}, f.Items.Gone) {
			c.problem("$.items.gone", "gone is %q: use %s or %s", f.Items.Gone, GoneRemove, GoneKeep)
		}
		i.fields(f.Items.Key, f.Items.Fields, kindsOf(itemSources))
		i.optional(f.Items.Fields)
	}
	return errors.Join(c.errs...)
}

// section is a part of the file that describes one table.
type section struct {
	*checker
	at        string          // its place
	seen      map[string]bool // names of its fields in lower case
	keyLength int
}

// name checks the name of a field. Copernica matches names case-insensitively, and of
// two the last wins.
func (s *section) name(at, n string) {
	switch lower := strings.ToLower(n); {
	case n == "":
		s.problem(at, "a field has no name")
	case slices.Contains([]string{"id", "code", "modified"}, lower):
		s.problem(at, "field %q: Copernica reserves this name", n)
	case strings.ContainsAny(n, "=<>!~") || strings.TrimSpace(n) != n || n[0] == '_' || n[0] >= '0' && n[0] <= '9':
		s.problem(at, "field %q: Copernica takes no operators, outer blanks, leading digit or underscore in a name", n)
	case s.seen[lower]:
		s.problem(at, "field %q stands twice", n)
	default:
		s.seen[lower] = true
	}
}

// fields checks the fields of a section; kinds are its sources.
func (s *section) fields(key string, fields []Field, kinds sourceKinds) {
	keys := 0
	for i, fd := range fields {
		at := s.at + ".fields[" + strconv.Itoa(i) + "]"
		s.name(at, fd.Name)
		if !fd.Type.known() {
			s.problem(at, "field %q: unknown type %q", fd.Name, fd.Type)
		}
		switch kind, ok := kinds.of(fd.From); {
		case !ok:
			s.problem(at, "field %q: unknown source %q; known are %s", fd.Name, fd.From, kinds.names)
		case !kind.fits(fd.Type):
			s.problem(at, "field %q: %s is %s, which does not fit a field of type %s", fd.Name, fd.From, kind, fd.Type)
		case kind == aTime && fd.Values != nil:
			s.problem(at, "field %q: %s is %s, which values cannot replace", fd.Name, fd.From, kind)
		}
		if fd.Length < 0 || fd.Type.text() && fd.Type != Big && fd.Length == 0 {
			s.problem(at, "field %q: a %s field needs a length", fd.Name, fd.Type)
		}
		if fd.From == sourceKey {
			keys++
			if fd.Name != key || fd.Type != Text || fd.Length < s.keyLength || !fd.Index {
				s.problem(at, "field %q: the key must be the field named under key, an indexed text of %d characters or more", fd.Name, s.keyLength)
			}
		}
	}
	if keys != 1 {
		s.problem(s.at+".fields", "exactly one field comes from %q; there are %d", sourceKey, keys)
	}
}

func (s *section) consent(c Consent) {
	s.name(s.at+".consent", c.Name)
	if c.Type != Text || c.Length < max(len(c.In), len(c.Out)) || c.In == "" || c.Out == "" || c.In == c.Out {
		s.problem(s.at+".consent", "consent: needs a text field long enough for two different values, in and out")
	}
}

// collection checks the name of a collection, which must have letters and underscores
// only (copernica-rest.md 4) and be the only one of its name in any case.
func (s *section) collection(name string, seen map[string]bool) {
	at := s.at + ".collection"
	letters := func(c rune) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
	switch lower := strings.ToLower(name); {
	case name == "":
		s.problem(at, "collection: it needs a name")
	case strings.IndexFunc(name, func(c rune) bool { return !letters(c) }) >= 0:
		s.problem(at, "collection %q: Copernica takes letters and underscores only", name)
	case seen[lower]:
		s.problem(at, "collection %q stands twice", name)
	default:
		seen[lower] = true
	}
}

// optional refuses fields that are required: nobody could give an order that was placed
// what it lacks.
func (s *section) optional(fields []Field) {
	for i, fd := range fields {
		if fd.Required {
			s.problem(s.at+".fields["+strconv.Itoa(i)+"]", "field %q: only a profile's field can be required", fd.Name)
		}
	}
}

// sourceKind is what a source gives.
type sourceKind string

const (
	aText   sourceKind = "a text"
	aTime   sourceKind = "a time"
	aNumber sourceKind = "a number"
	anExact sourceKind = "an amount with decimals"
)

// fits reports whether values keep their meaning in a field of a type. A text may hold
// anything.
func (k sourceKind) fits(t Type) bool {
	switch k {
	case aTime:
		return t != Integer && t != Float
	case aNumber:
		return !t.date()
	case anExact:
		return !t.date() && t != Integer
	default:
		return true
	}
}

// sourceKinds are the sources of a section.
type sourceKinds struct {
	names string // in words
	of    func(from string) (sourceKind, bool)
}

func kindOf[R any](s source[R]) sourceKind {
	switch {
	case s.time != nil:
		return aTime
	case s.amount != nil:
		return anExact
	case s.number != nil:
		return aNumber
	default:
		return aText
	}
}

func kindsOf[R any](sources map[string]source[R]) sourceKinds {
	return sourceKinds{names: sourceNames(sources), of: func(from string) (sourceKind, bool) {
		s, ok := sources[from]
		return kindOf(s), ok
	}}
}

func profileKinds() sourceKinds {
	return sourceKinds{
		names: sourceNames(profileSources) + ", and " + attributePrefix + "CODE",
		of: func(from string) (sourceKind, bool) {
			s, ok := profileSources[from]
			return kindOf(s.customer), ok || strings.HasPrefix(from, attributePrefix)
		},
	}
}
