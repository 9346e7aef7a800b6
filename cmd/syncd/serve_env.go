package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/magento-copernica/syncd/config"
)

// withFile returns an environment with the settings of a file before it: lines of
// NAME=value in the form of systemd's EnvironmentFile, of which those count that begin
// with our prefix. The errors are *config.Error.
func withFile(environ []string, path string) ([]string, error) {
	if path == "" {
		return environ, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		problem := err.Error()
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			problem = pathErr.Err.Error()
		}
		return nil, &config.Error{Problem: fmt.Sprintf("--env-file names %s, which cannot be read (%s): correct the path, or the file's owner and mode", path, problem)}
	}
	own := map[string]string{}
	for number, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		name, value, found := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if !found {
			return nil, &config.Error{Problem: fmt.Sprintf("line %d of %s is no setting: write NAME=value", number+1, path)}
		}
		if name = strings.TrimSpace(name); !strings.HasPrefix(name, config.Prefix) {
			continue // for somebody else
		}
		value, err := unquoted(strings.TrimSpace(value))
		if err != nil {
			return nil, &config.Error{Variable: name, Problem: fmt.Sprintf("in line %d of %s: %s", number+1, path, err)}
		}
		own[name] = value
	}
	out := make([]string, 0, len(environ)+len(own))
	for _, pair := range environ {
		if name, _, _ := strings.Cut(pair, "="); !has(own, name) {
			out = append(out, pair)
		}
	}
	for name, value := range own {
		out = append(out, name+"="+value)
	}
	return out, nil
}

func has(m map[string]string, name string) bool { _, ok := m[name]; return ok }

// unquoted takes the quotes off a value. What a shell or systemd would make of a
// backslash differs, so none is taken inside double quotes.
func unquoted(value string) (string, error) {
	if value == "" || value[0] != '\'' && value[0] != '"' {
		return value, nil
	}
	quote := value[:1]
	inner, closed := strings.CutSuffix(value[1:], quote)
	switch {
	case !closed:
		return "", errors.New("the quote is not closed: end the line with it")
	case strings.Contains(inner, quote) || quote == `"` && strings.Contains(inner, `\`):
		return "", errors.New("the quotes cannot be read: write the value once, in single quotes")
	}
	return inner, nil
}
