package magento

import (
	"net/http"
	"regexp"
	"strings"
)

// masked stands where a secret of ours stood.
const masked = "***"

// shortestSecret is the length below which a text is too common to be masked.
const shortestSecret = 4

// oauthHeader finds a signature and its parameters: `oauth_signature="…"`.
var oauthHeader = regexp.MustCompile(`oauth_[a-z_]+(?:=|%3D)[^\s,&<>]*`)

// secrets are the configured ones: what must be in no error, also when a shop or a proxy
// prints our own request back at us.
func (cfg Config) secrets() []string {
	return []string{cfg.Password, cfg.TOTPSecret, cfg.AccessToken, cfg.AccessTokenSecret, cfg.ConsumerKey, cfg.ConsumerSecret}
}

// refusal reads an answer that is no success into an error without our secrets. It is
// nil for a success, whose body is left to read.
func (c *Client) refusal(route string, resp *http.Response, used ...string) *Error {
	e := answerError(route, resp)
	if e == nil {
		return nil
	}
	var pairs []string
	for _, secret := range append(c.cfg.secrets(), used...) {
		if len(secret) >= shortestSecret {
			pairs = append(pairs, secret, masked, escape(secret), masked)
		}
	}
	// What a signature is made of differs from call to call, and is told by its form.
	mask := func(text string) string {
		return oauthHeader.ReplaceAllString(strings.NewReplacer(pairs...).Replace(text), masked)
	}
	e.Message, e.Filled, e.Code = mask(e.Message), mask(e.Filled), mask(e.Code)
	for name, value := range e.Parameters {
		e.Parameters[name] = mask(value)
	}
	return e
}
