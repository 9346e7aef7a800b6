// Package mapping turns Magento records into Copernica rows. It is the one place
// where the two vocabularies meet.
//
// A mapping is data: a YAML file that names Copernica fields, their types and where
// each value comes from. The one in default.yaml is built in. [Parse] reads a file
// and refuses what could do harm later (unknown sources, doubled names, a key that
// does not fit), with the line it stands on.
//
// Mapping is a pure function: the same record, lookups and options give the same
// row, in Copernica's canonical form, so that what is read back equals what was
// sent (promise 16).
package mapping

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed default.yaml
var defaultYAML []byte

// File is a mapping as written down.
type File struct {
	Version int     `yaml:"version"`
	Profile Profile `yaml:"profile"`
}

// Profile says what a Copernica profile holds.
type Profile struct {
	Key     string  `yaml:"key"` // name of the field that holds the key
	Fields  []Field `yaml:"fields"`
	Consent Consent `yaml:"consent"`
}

// Field is one Copernica field and where its value comes from.
type Field struct {
	Name     string            `yaml:"name"`
	Type     Type              `yaml:"type"`
	Length   int               `yaml:"length"` // in characters; longer text is cut
	Index    bool              `yaml:"index"`
	From     string            `yaml:"from"`
	Required bool              `yaml:"required"` // empty or too long refuses the record instead of sending it
	Values   map[string]string `yaml:"values"`
}

// Consent is the field that says whether somebody may be mailed.
type Consent struct {
	Name   string `yaml:"name"`
	Type   Type   `yaml:"type"`
	Length int    `yaml:"length"`
	In     string `yaml:"in"`  // value of somebody who subscribed
	Out    string `yaml:"out"` // value of everybody else: REST cannot tell why
}

// Default returns the built-in mapping.
func Default() (*File, error) {
	f, err := Parse(defaultYAML)
	if err != nil {
		return nil, fmt.Errorf("built-in mapping: %w", err)
	}
	return f, nil
}

// Parse reads a mapping file. Unknown keys are errors, and every mistake is reported.
func Parse(data []byte) (*File, error) {
	var f File
	if err := yaml.UnmarshalWithOptions(data, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("mapping file: %s", yaml.FormatError(err, false, true))
	}
	if err := f.validate(); err != nil {
		return nil, fmt.Errorf("mapping file: %w", err)
	}
	return &f, nil
}

func (f *File) validate() error {
	var errs []error
	problem := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if f.Version != 1 {
		problem("version is %d; this syncd reads version 1", f.Version)
	}
	// Copernica matches names case-insensitively, and of two the last wins.
	seen := map[string]bool{}
	name := func(n string) {
		switch lower := strings.ToLower(n); {
		case n == "":
			problem("a field has no name")
		case slices.Contains([]string{"id", "code", "modified"}, lower):
			problem("field %q: Copernica reserves this name", n)
		case strings.ContainsAny(n, "=<>!~") || strings.TrimSpace(n) != n || n[0] == '_' || n[0] >= '0' && n[0] <= '9':
			problem("field %q: Copernica takes no operators, outer blanks, leading digit or underscore in a name", n)
		case seen[lower]:
			problem("field %q stands twice", n)
		default:
			seen[lower] = true
		}
	}
	keys := 0
	for _, fd := range f.Profile.Fields {
		name(fd.Name)
		if !fd.Type.known() {
			problem("field %q: unknown type %q", fd.Name, fd.Type)
		}
		if _, ok := sources[fd.From]; !ok && !strings.HasPrefix(fd.From, attributePrefix) {
			problem("field %q: unknown source %q; known are %s, and %sCODE", fd.Name, fd.From, sourceNames(), attributePrefix)
		}
		if fd.Length < 0 || fd.Type.text() && fd.Type != Big && fd.Length == 0 {
			problem("field %q: a %s field needs a length", fd.Name, fd.Type)
		}
		if fd.From == sourceKey {
			keys++
			if fd.Name != f.Profile.Key || fd.Type != Text || fd.Length < KeyLength || !fd.Index {
				problem("field %q: the key must be the field named under key, an indexed text of %d characters or more", fd.Name, KeyLength)
			}
		}
	}
	if keys != 1 {
		problem("exactly one field comes from %q; there are %d", sourceKey, keys)
	}
	c := f.Profile.Consent
	name(c.Name)
	if c.Type != Text || c.Length < max(len(c.In), len(c.Out)) || c.In == "" || c.Out == "" || c.In == c.Out {
		problem("consent: needs a text field long enough for two different values, in and out")
	}
	return errors.Join(errs...)
}
