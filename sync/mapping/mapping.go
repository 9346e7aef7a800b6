// Package mapping turns Magento records into Copernica rows: customers into profiles,
// orders and their lines into subprofiles, and a guest's order into a profile as well.
// It is the one place where the two vocabularies meet.
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
	"fmt"

	"github.com/goccy/go-yaml"
)

//go:embed default.yaml
var defaultYAML []byte

// File is a mapping as written down.
type File struct {
	Version int `yaml:"version"`
	// Identity says who is one person; empty is ByAccount.
	Identity Identity `yaml:"identity"`
	Profile  Profile  `yaml:"profile"`
	// Orders and Items are both there or both left out: then only customers are sent.
	Orders *List `yaml:"orders"`
	Items  *List `yaml:"items"`
}

// Identity says whose records make one profile (promise 17).
type Identity string

// The identities.
const (
	// ByAccount gives each account of the shop a profile, and each guest of a website.
	ByAccount Identity = "account"
	// ByEmail gives each confirmed e-mail one, on whichever websites it has accounts or
	// orders.
	ByEmail Identity = "email"
)

// List says what a collection below the profiles holds.
type List struct {
	Collection string  `yaml:"collection"`
	Key        string  `yaml:"key"`  // name of the field that holds the key
	Gone       Gone    `yaml:"gone"` // of items; empty is GoneRemove
	Fields     []Field `yaml:"fields"`
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

// OptedOut reports whether a profile that shows a value is not to be mailed: whatever is
// neither the word for subscribed nor nothing.
func (c Consent) OptedOut(shown string) bool { return shown != "" && shown != c.In }

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
	if err := f.validate(data); err != nil {
		return nil, fmt.Errorf("mapping file: %w", err)
	}
	return &f, nil
}
