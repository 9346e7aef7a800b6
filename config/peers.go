package config

import (
	"crypto/x509"
	"encoding/base32"
	"fmt"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
)

// versionPattern finds the version at the end of the REST API's path.
var versionPattern = regexp.MustCompile(`^v[0-9]+$`)

func (m Magento) check(p *problems) {
	if m.BaseURL == "" {
		p.add("MAGENTO_BASE_URL", "is not set: write the address of the shop, such as https://shop.example.com")
	} else {
		p.address("MAGENTO_BASE_URL", m.BaseURL)
	}
	m.checkAccess(p)
	if m.OAuthURL != "" {
		p.oauthAddress("MAGENTO_OAUTH_URL", m.OAuthURL)
	}
	if _, err := m.RootCAs(); err != nil {
		*p = append(*p, err)
	}
}

// oauthAddress checks an address that is signed and not called: http:// is what a shop
// behind a proxy that ends TLS may see.
func (p *problems) oauthAddress(name, value string) {
	p.address(name, strings.Replace(value, "http://", "https://", 1))
}

// checkAccess holds the settings to exactly one way to authenticate: a user with a
// password, an access token, or the four secrets of OAuth 1.0a.
func (m Magento) checkAccess(p *problems) {
	user, password, token := m.Username != "", !m.Password.IsZero(), !m.AccessToken.IsZero()
	signed := !m.ConsumerKey.IsZero() || !m.ConsumerSecret.IsZero() || !m.AccessTokenSecret.IsZero()

	switch {
	case signed && (user || password):
		p.add("MAGENTO_CONSUMER_KEY", "and the secrets of OAuth 1.0a are set together with SYNCD_MAGENTO_USERNAME or SYNCD_MAGENTO_PASSWORD: keep one way to authenticate, the integration's four secrets or the user and password")
	case signed:
		for _, part := range []struct {
			name, of string
			value    Secret
		}{
			{"CONSUMER_KEY", "consumer key", m.ConsumerKey},
			{"CONSUMER_SECRET", "consumer secret", m.ConsumerSecret},
			{"ACCESS_TOKEN", "access token", m.AccessToken},
			{"ACCESS_TOKEN_SECRET", "access token secret", m.AccessTokenSecret},
		} {
			if part.value.IsZero() {
				p.add("MAGENTO_"+part.name, "is not set, and OAuth 1.0a takes all four of the integration's secrets: write its %s (System > Extensions > Integrations)", part.of)
			}
		}
	case token && (user || password):
		p.add("MAGENTO_ACCESS_TOKEN", "is set together with SYNCD_MAGENTO_USERNAME or SYNCD_MAGENTO_PASSWORD: keep one way to authenticate, the token or the user and password")
	case !token && !user && !password:
		p.add("MAGENTO_ACCESS_TOKEN", "is not set: write an integration's access token, or set SYNCD_MAGENTO_USERNAME and SYNCD_MAGENTO_PASSWORD")
	case user && !password:
		p.add("MAGENTO_PASSWORD", "is not set: write the password of the user SYNCD_MAGENTO_USERNAME names")
	case password && !user:
		p.add("MAGENTO_USERNAME", "is not set: write the name of the user that SYNCD_MAGENTO_PASSWORD belongs to")
	}

	switch {
	case m.TOTPSecret.IsZero():
	case !user && !password && (token || signed):
		p.add("MAGENTO_TOTP_SECRET", "is set, and only a user with a password has a second factor: take it away, or set SYNCD_MAGENTO_USERNAME and SYNCD_MAGENTO_PASSWORD instead of the token")
	case !base32Secret(m.TOTPSecret.Reveal()):
		p.add("MAGENTO_TOTP_SECRET", "is not a secret in base32: write the letters A-Z and digits 2-7 that Magento shows beside the QR code")
	}
}

// base32Secret reports whether a text is base32 (RFC 4648), as authenticators take
// it: in any case, with or without blanks and padding.
func base32Secret(text string) bool {
	text = strings.TrimRight(strings.ToUpper(strings.Join(strings.Fields(text), "")), "=")
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	return err == nil && len(secret) > 0
}

// RootCAs returns the authorities to trust for the shop: the system's and those of
// CABundle. It is nil, which means the system's, without a bundle. The error is an
// *[Error].
func (m Magento) RootCAs() (*x509.CertPool, error) {
	return rootCAs("MAGENTO_CA_BUNDLE", m.CABundle)
}

func (c Copernica) check(p *problems) {
	key, secret := c.ClientKey != "", !c.ClientSecret.IsZero()
	if c.AccessToken.IsZero() && !key {
		p.add("COPERNICA_ACCESS_TOKEN", "is not set: write the access token of the Copernica account's REST API, or set SYNCD_COPERNICA_CLIENT_KEY and SYNCD_COPERNICA_CLIENT_SECRET and run `syncd connect copernica`")
	}
	switch {
	case key && !secret:
		p.add("COPERNICA_CLIENT_SECRET", "is not set: write the secret of the application that SYNCD_COPERNICA_CLIENT_KEY names")
	case secret && !key:
		p.add("COPERNICA_CLIENT_KEY", "is not set: write the key of the application that SYNCD_COPERNICA_CLIENT_SECRET belongs to")
	}
	c.checkAddresses(p)
}

// checkApplication asks for what connects an account.
func (c Copernica) checkApplication(p *problems) {
	const where = ": the dashboard shows it with the application (Configuration > Company > Applications)"
	if c.ClientKey == "" {
		p.add("COPERNICA_CLIENT_KEY", "is not set"+where)
	}
	if c.ClientSecret.IsZero() {
		p.add("COPERNICA_CLIENT_SECRET", "is not set"+where)
	}
	c.checkAddresses(p)
}

func (c Copernica) checkAddresses(p *problems) {
	p.address("COPERNICA_API_URL", c.APIURL)
	if u, err := url.Parse(c.APIURL); err == nil {
		own := fmt.Sprintf("v%d", c.APIVersion)
		if last := path.Base(u.Path); versionPattern.MatchString(last) && last != own {
			p.add("COPERNICA_API_URL", "ends in /%s, while SYNCD_COPERNICA_API_VERSION is %d: write the same version in both", last, c.APIVersion)
		}
	}
	p.address("COPERNICA_AUTH_URL", c.AuthURL)
	p.address("COPERNICA_AUTHORIZE_URL", c.AuthorizeURL)
	if _, err := c.RootCAs(); err != nil {
		*p = append(*p, err)
	}
}

// RootCAs returns the authorities to trust for Copernica, as [Magento.RootCAs] does
// for the shop.
func (c Copernica) RootCAs() (*x509.CertPool, error) {
	return rootCAs("COPERNICA_CA_BUNDLE", c.CABundle)
}

// rootCAs adds the certificates of a PEM file to the system's. It is nil without a
// file. The error is an *[Error].
func rootCAs(variable, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // nil is what crypto/tls takes for the system's
	}
	name := Prefix + variable
	bundle, err := os.ReadFile(file)
	if err != nil {
		return nil, &Error{Variable: name, Problem: fmt.Sprintf("names %s, which %s", file, unreadable(err))}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without certificates, such as a bare container
	}
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, &Error{Variable: name, Problem: fmt.Sprintf("names %s, which holds no certificate: write PEM blocks that begin with BEGIN CERTIFICATE", file)}
	}
	return pool, nil
}
