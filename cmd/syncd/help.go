package main

import (
	"github.com/alecthomas/kong"
)

// helpCommand shows what --help does, for who asks for it by name.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"The command, such as run or claims undo. Default: the list of commands."`
}

// Run prints the help of the command that is named.
func (c *helpCommand) Run(line *kong.Context) error {
	of, err := kong.Trace(line.Kong, append(c.Command, "--help")) // which stands for a group, not for its default
	if err == nil {
		err = of.Error
	}
	if err != nil {
		return &usageError{err}
	}
	return of.PrintUsage(false)
}
