package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Need names a part of the configuration that a command cannot do without.
type Need uint8

// The parts. They can be joined with |.
const (
	NeedMagento     Need = 1 << iota // an address and exactly one way to authenticate
	NeedCopernica                    // an access token, or an application that is given one
	NeedState                        // a place for the state, and for PostgreSQL its key
	NeedDatabase                     // a place for the state
	NeedApplication                  // Copernica's API and the application that asks for access to an account
)

// Bounds of numbers. A Magento page of more than 1000 customers costs more than the
// usual memory limit of PHP; one below 10 costs more calls than it spares.
const (
	minPageSize, maxPageSize = 10, 1000
	maxMagentoConcurrency    = 32
	maxCopernicaConcurrency  = 100
	maxOverlap               = 24 * time.Hour
	maxSettle                = 10 * time.Minute
	minLag, maxLag           = time.Minute, 720 * time.Hour
	minVersion, maxVersion   = 1, 4
	minReconcile             = time.Hour
	maxReconcile             = 720 * time.Hour
	minConsent, maxConsent   = 5 * time.Minute, 24 * time.Hour
)

var shopPattern = regexp.MustCompile(`^[a-z0-9]{1,12}$`) // promise 17

// Validate reports the values that are wrong whatever the command, as a join of
// *[Error]. [Load] has called it.
func (c Config) Validate() error {
	var p problems
	if !shopPattern.MatchString(c.Shop) {
		p.add("SHOP", "is %q: write 1 to 12 of the characters a-z and 0-9", c.Shop)
	}
	p.between("MAGENTO_CONCURRENCY", c.Magento.Concurrency, 1, maxMagentoConcurrency)
	p.between("MAGENTO_PAGE_SIZE", c.Magento.PageSize, minPageSize, maxPageSize)
	p.between("COPERNICA_CONCURRENCY", c.Copernica.Concurrency, 1, maxCopernicaConcurrency)
	if c.Overlap < 0 || c.Overlap > maxOverlap {
		p.add("OVERLAP", "is %s: write a duration from 0s to %s", c.Overlap, maxOverlap)
	}
	if c.Settle < 0 || c.Settle > maxSettle {
		p.add("SETTLE", "is %s: write a duration from 0s to %s", c.Settle, maxSettle)
	}
	if c.MaxLag < minLag || c.MaxLag > maxLag {
		p.add("MAX_LAG", "is %s: write a duration from %s to %s", c.MaxLag, minLag, maxLag)
	}
	p.period("RECONCILE_PERIOD", c.Reconcile, minReconcile, maxReconcile)
	p.period("CONSENT_PERIOD", c.Consent, minConsent, maxConsent)
	p.between("COPERNICA_API_VERSION", c.Copernica.APIVersion, minVersion, maxVersion)
	p.listener("LISTEN", c)
	c.validateErasure(&p)
	return errors.Join(p...)
}

// Check reports what is missing or wrong in the parts that a command needs, as a
// join of *[Error].
func (c Config) Check(need Need) error {
	var p problems
	if need&NeedMagento != 0 {
		c.Magento.check(&p)
	}
	if need&NeedCopernica != 0 {
		c.Copernica.check(&p)
	}
	if need&NeedApplication != 0 {
		c.Copernica.checkApplication(&p)
	}
	if need&(NeedState|NeedDatabase) != 0 {
		c.checkState(&p, need&NeedState != 0)
	}
	if need&NeedCopernica != 0 {
		c.checkErasure(&p)
	}
	return errors.Join(p...)
}

// listener checks an address that this process answers at.
func (p *problems) listener(name string, c Config) {
	address, on := c.ListenAddress()
	if !on {
		return
	}
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		p.add(name, "is %.60q: write a host and a port such as 127.0.0.1:8080, :8080 for all interfaces, or off", address)
	}
}

// problems collects *Error values.
type problems []error

func (p *problems) add(name, format string, args ...any) {
	*p = append(*p, &Error{Variable: Prefix + name, Problem: fmt.Sprintf(format, args...)})
}

func (p *problems) between(name string, value, low, high int) {
	if value < low || value > high {
		p.add(name, "is %d: write a number from %d to %d", value, low, high)
	}
}

func (p *problems) period(name string, value Period, low, high time.Duration) {
	if !value.Off() && (value < Period(low) || value > Period(high)) {
		p.add(name, "is %s: write a duration from %s to %s, or off", value, Period(low), Period(high))
	}
}

// address checks the URL of a peer; without a scheme it means https, as in both
// clients. Messages hold no part of a value that may carry a password.
func (p *problems) address(name, value string) {
	if !strings.Contains(value, "://") {
		value = "https://" + value
	}
	u, err := url.Parse(value)
	switch {
	case err != nil:
		p.add(name, "is not an address: write one such as https://host.example.com")
	case u.User != nil:
		p.add(name, "holds a user name or password: leave them out of the address")
	case u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		p.add(name, "is not an address of a web server: write one such as https://host.example.com")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		p.add(name, "begins with http://: tokens would cross the network readable by anyone; write https://%s", u.Host)
	}
}

// loopback reports whether a host never leaves the machine. The name localhost
// and those below it are reserved for that (RFC 6761, section 6.3).
func loopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
