package config

import (
	"fmt"
	"strings"
	"time"
)

// Period is how often something is gone through. The zero value is off: never.
type Period time.Duration

// Off reports whether it is never gone through.
func (p Period) Off() bool { return p == 0 }

// String returns the form that EnvDecode reads.
func (p Period) String() string {
	if p.Off() {
		return off
	}
	text := time.Duration(p).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-len(zero)+1]
		}
	}
	return text
}

// EnvDecode implements the decoder of envconfig: a duration, or off.
func (p *Period) EnvDecode(value string) error {
	if strings.EqualFold(value, off) {
		*p = 0
		return nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return malformed(quote(value) + "is no period: write a duration such as 15m or 24h, or off")
	}
	*p = Period(d)
	return nil
}

// Switch is on or off.
type Switch bool

// On reports whether it is on.
func (s Switch) On() bool { return bool(s) }

// String returns the form that EnvDecode reads.
func (s Switch) String() string {
	if s {
		return "on"
	}
	return off
}

// EnvDecode implements the decoder of envconfig: on or off.
func (s *Switch) EnvDecode(value string) error {
	switch strings.ToLower(value) {
	case "on":
		*s = true
	case off:
		*s = false
	default:
		return malformed(fmt.Sprintf("is %.40q: write on or off", value))
	}
	return nil
}

// Repair says what becomes of rows in Copernica that were changed there by hand.
type Repair string

// The ways: they are sent again, or reported and left.
const (
	RepairRows Repair = "repair"
	ReportRows Repair = "report"
)

// EnvDecode implements the decoder of envconfig.
func (r *Repair) EnvDecode(value string) error {
	return oneOf(r, value, RepairRows, ReportRows)
}
