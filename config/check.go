package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
)

// Need names a part of the configuration that a command cannot do without.
type Need uint8

// The parts. They can be joined with |.
const (
	NeedMagento   Need = 1 << iota // an address and exactly one way to authenticate
	NeedCopernica                  // an access token
	NeedState                      // a place for the state, and for PostgreSQL its key
	NeedDatabase                   // a place for the state
)

// Bounds of numbers. A Magento page of more than 1000 customers costs more than the
// usual memory limit of PHP; one below 10 costs more calls than it spares.
const (
	minPageSize, maxPageSize = 10, 1000
	maxMagentoConcurrency    = 32
	maxCopernicaConcurrency  = 100
	maxOverlap               = 24 * time.Hour
	maxSettle                = 10 * time.Minute
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
	if need&(NeedState|NeedDatabase) != 0 {
		c.checkState(&p, need&NeedState != 0)
	}
	return errors.Join(p...)
}

func (m Magento) check(p *problems) {
	if m.BaseURL == "" {
		p.add("MAGENTO_BASE_URL", "is not set: write the address of the shop, such as https://shop.example.com")
	} else {
		p.address("MAGENTO_BASE_URL", m.BaseURL)
	}

	user, password, token := m.Username != "", !m.Password.IsZero(), !m.AccessToken.IsZero()
	switch {
	case token && (user || password):
		p.add("MAGENTO_ACCESS_TOKEN", "is set together with SYNCD_MAGENTO_USERNAME or SYNCD_MAGENTO_PASSWORD: keep one way to authenticate, the token or the user and password")
	case !token && !user && !password:
		p.add("MAGENTO_ACCESS_TOKEN", "is not set: write an integration's access token, or set SYNCD_MAGENTO_USERNAME and SYNCD_MAGENTO_PASSWORD")
	case user && !password:
		p.add("MAGENTO_PASSWORD", "is not set: write the password of the user SYNCD_MAGENTO_USERNAME names")
	case password && !user:
		p.add("MAGENTO_USERNAME", "is not set: write the name of the user that SYNCD_MAGENTO_PASSWORD belongs to")
	}

	if _, err := m.RootCAs(); err != nil {
		*p = append(*p, err)
	}
}

// RootCAs returns the authorities to trust for the shop: the system's and those of
// CABundle. It is nil, which means the system's, without a bundle. The error is an
// *[Error].
func (m Magento) RootCAs() (*x509.CertPool, error) {
	if m.CABundle == "" {
		return nil, nil //nolint:nilnil // nil is what crypto/tls takes for the system's
	}
	const name = Prefix + "MAGENTO_CA_BUNDLE"
	bundle, err := os.ReadFile(m.CABundle)
	if err != nil {
		return nil, &Error{Variable: name, Problem: fmt.Sprintf("names %s, which %s", m.CABundle, unreadable(err))}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without certificates, such as a bare container
	}
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, &Error{Variable: name, Problem: fmt.Sprintf("names %s, which holds no certificate: write PEM blocks that begin with BEGIN CERTIFICATE", m.CABundle)}
	}
	return pool, nil
}

func (c Copernica) check(p *problems) {
	if c.AccessToken.IsZero() {
		p.add("COPERNICA_ACCESS_TOKEN", "is not set: write the access token of the Copernica account's REST API")
	}
	p.address("COPERNICA_API_URL", c.APIURL)
	p.address("COPERNICA_AUTH_URL", c.AuthURL)
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
