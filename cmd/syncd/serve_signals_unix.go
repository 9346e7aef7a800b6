//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// listenForSignals returns the signals that a daemon takes beside those that end it,
// until stop is called.
func listenForSignals() (reload, runNow <-chan os.Signal, stop func()) {
	hup, usr1 := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	signal.Notify(usr1, syscall.SIGUSR1)
	return hup, usr1, func() {
		signal.Stop(hup)
		signal.Stop(usr1)
	}
}
