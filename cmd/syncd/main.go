// Syncd moves customers from Magento 2 shops into Copernica and keeps them in step.
//
// Every setting comes from the environment (package config); flags say only what a
// single invocation does. Output that is asked for goes to standard output, logs,
// progress and errors to standard error. The exit codes are a contract:
//
//	0  done
//	1  failed at run time
//	2  wrong usage or configuration, a missing Copernica database included
//	3  a peer cannot be reached, or refuses the credentials; a check failed
//	4  done, but with dead letters
//
// SIGINT and SIGTERM ask a command to end cleanly; a second one ends it at once.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // zones must not depend on what the machine has installed

	"github.com/mattn/go-isatty"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once a signal has come, the default action is back: the next one kills.
	context.AfterFunc(ctx, stop)

	a := &app{
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		environ:  os.Environ(),
		terminal: isatty.IsTerminal(os.Stderr.Fd()) || isatty.IsCygwinTerminal(os.Stderr.Fd()),
		now:      time.Now,
	}
	os.Exit(a.run(ctx, os.Args[1:]))
}
