package main

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// manager is the service manager that started this process: systemd, or nobody.
type manager struct {
	log *slog.Logger

	mu       sync.Mutex
	sentence string // told last
	silent   bool   // it cannot be told, which was said
}

// watchdog returns how often the manager wants to hear from us, 0 for never.
func (m *manager) watchdog() time.Duration {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("the service manager's watchdog cannot be served", "error", err)
		return 0
	}
	return interval
}

// tell sends a state as sd_notify(3) has it.
func (m *manager) tell(state string) {
	_, err := daemon.SdNotify(false, state)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil && !m.silent {
		m.log.Warn("the service manager cannot be told how things stand", "error", err)
	}
	m.silent = err != nil
}

func (m *manager) ready(sentence string) {
	m.remember(sentence)
	m.tell(daemon.SdNotifyReady + "\nSTATUS=" + sentence)
}

// opening says that the start goes on, and takes a while yet.
func (m *manager) opening(sentence string, most time.Duration) {
	m.remember(sentence)
	m.tell(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d\nSTATUS=%s", most.Microseconds(), sentence))
}

func (m *manager) alive() { m.tell(daemon.SdNotifyWatchdog) }

func (m *manager) stopping() { m.tell(daemon.SdNotifyStopping + "\nSTATUS=Stopping") }

// says tells a sentence for `systemctl status`, once.
func (m *manager) says(sentence string) {
	if m.remember(sentence) {
		m.tell("STATUS=" + sentence)
	}
}

// remember reports whether a sentence is another than the last.
func (m *manager) remember(sentence string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := m.sentence != sentence
	m.sentence = sentence
	return changed
}
