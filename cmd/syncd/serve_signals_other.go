//go:build !unix

package main

import "os"

// listenForSignals returns signals that never come: this system has none to reload by.
func listenForSignals() (reload, runNow <-chan os.Signal, stop func()) {
	return nil, nil, func() {}
}
