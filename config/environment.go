package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// fileSuffix ends the name of a variable that holds the path of a secret.
const fileSuffix = "_FILE"

// testPrefix starts the names that belong to the tests.
const testPrefix = Prefix + "TEST_"

// maxSecretFile bounds a secret's file, so that a wrong path cannot fill memory.
const maxSecretFile = 64 << 10

// environment is the envconfig.Lookuper behind [Load]. It is used by one
// goroutine and read once.
type environment struct {
	values map[string]string
	left   map[string]bool   // variables that could not be decoded
	files  map[string]string // contents of secrets' files, by the secret's name
	failed map[string]error  // files that could not be read, likewise
	last   string            // name asked for last
}

func newEnvironment(environ []string) *environment {
	e := &environment{
		values: make(map[string]string, len(environ)),
		left:   make(map[string]bool),
		files:  make(map[string]string),
		failed: make(map[string]error),
	}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			e.values[name] = value
		}
	}
	for _, v := range Variables() {
		path := e.values[v.Name+fileSuffix]
		if !v.Secret || path == "" {
			continue
		}
		if e.values[v.Name] != "" {
			e.failed[v.Name] = &Error{Variable: v.Name, Problem: fmt.Sprintf("and %s%s are both set: keep one of them", v.Name, fileSuffix)}
			continue
		}
		content, err := readSecret(path)
		if err != nil {
			e.failed[v.Name] = &Error{Variable: v.Name + fileSuffix, Problem: fmt.Sprintf("names %s, which %s", path, err)}
			continue
		}
		e.files[v.Name] = content
	}
	return e
}

// Lookup implements envconfig.Lookuper.
func (e *environment) Lookup(name string) (string, bool) {
	e.last = name
	if e.left[name] {
		return "", false
	}
	if content, ok := e.files[name]; ok {
		return content, true
	}
	value := e.values[name]
	return value, value != ""
}

// leaveOut makes Lookup forget a variable; it returns false when that changes nothing.
func (e *environment) leaveOut(name string) bool {
	if _, found := e.Lookup(name); !found {
		return false
	}
	e.left[name] = true
	return true
}

// problems returns what went wrong with the secrets' files, by name.
func (e *environment) problems() []error {
	var out []error
	for _, name := range slices.Sorted(maps.Keys(e.failed)) {
		out = append(out, e.failed[name])
	}
	return out
}

// unknown returns an error for every name with our prefix that means nothing.
func (e *environment) unknown() []error {
	var known []string
	plain := make(map[string]bool)
	for _, v := range Variables() {
		known = append(known, v.Name)
		if v.Secret {
			known = append(known, v.Name+fileSuffix)
		} else {
			plain[v.Name+fileSuffix] = true
		}
	}

	var out []error
	for _, name := range slices.Sorted(maps.Keys(e.values)) {
		switch {
		case !strings.HasPrefix(name, Prefix), strings.HasPrefix(name, testPrefix), slices.Contains(known, name):
		case plain[name]:
			out = append(out, &Error{Variable: name, Problem: fmt.Sprintf("is not known: only secrets are read from a file; set %s itself", strings.TrimSuffix(name, fileSuffix))})
		default:
			problem := "is not known: correct its name, or take it away (docs/configuration.md lists all)"
			if meant := nearest(name, known); near(name, meant) {
				problem = fmt.Sprintf("is not known: did you mean %s? (docs/configuration.md lists all)", meant)
			}
			out = append(out, &Error{Variable: name, Problem: problem})
		}
	}
	return out
}

// readSecret reads a secret's file without the newlines at its end. Its errors
// do not repeat the path.
func readSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", unreadable(err)
	}
	defer func() { _ = file.Close() }() // only read from

	content, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	switch {
	case err != nil:
		return "", unreadable(err)
	case len(content) > maxSecretFile:
		return "", fmt.Errorf("is larger than %d KiB: it cannot be a secret", maxSecretFile>>10)
	}
	value := strings.TrimRight(string(content), "\r\n")
	if value == "" {
		return "", errors.New("is empty: write the secret into it")
	}
	return value, nil
}

func unreadable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("does not exist: create it, or correct the path")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("may not be read by this user: change its owner or mode")
	}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	return fmt.Errorf("cannot be read (%w): correct the path", err)
}

// nearest returns the known name that was most likely meant: the one that has
// most of the name's words, and of those the one at the smallest edit distance.
func nearest(name string, known []string) string {
	words := strings.Split(name, "_")
	return slices.MinFunc(known, func(a, b string) int {
		return cmp.Or(
			cmp.Compare(missing(words, a), missing(words, b)),
			cmp.Compare(distance(name, a), distance(name, b)),
		)
	})
}

// near reports whether a known name may have been meant: it has all the words of the
// name, or no more than a third of the letters differ.
func near(name, meant string) bool {
	own := strings.TrimPrefix(name, Prefix)
	return own != "" && missing(strings.Split(own, "_"), meant) == 0 || distance(name, meant) <= max(2, len(own)/3)
}

// missing counts the words that a name does not have.
func missing(words []string, name string) int {
	has := strings.Split(name, "_")
	n := 0
	for _, word := range words {
		if !slices.Contains(has, word) {
			n++
		}
	}
	return n
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
