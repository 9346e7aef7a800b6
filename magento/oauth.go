package magento

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/internal/httpx"
)

// signer signs the calls of an integration: OAuth 1.0a (RFC 5849) with HMAC-SHA256, the
// one method that Magento 2.4.7 takes. It is the transport of the client's sessions, so
// that each attempt carries a nonce and a time of its own: Magento takes a nonce once.
// Safe for concurrent use.
type signer struct {
	next                        http.RoundTripper
	consumerKey, consumerSecret string
	token, tokenSecret          string
	// seen is the scheme, host and folder that the shop sees of itself; nil: those that
	// the request is sent to.
	seen *url.URL
	base string // the folder that the request is sent to
	// clock is the shop's: a time more than ten minutes ahead of it is refused.
	clock *clock
}

// newSigner returns a signer for cfg in front of next.
func newSigner(cfg Config, base string, next http.RoundTripper, clock *clock) (*signer, error) {
	s := &signer{
		next: next, clock: clock,
		consumerKey: cfg.ConsumerKey, consumerSecret: cfg.ConsumerSecret,
		token: cfg.AccessToken, tokenSecret: cfg.AccessTokenSecret,
	}
	if cfg.OAuthURL == "" {
		return s, nil
	}
	seen, err := normalise(settingOAuthURL, cfg.OAuthURL)
	if err != nil {
		return nil, err
	}
	// Both were put together by normalise, so that they parse.
	if s.seen, err = url.Parse(seen); err != nil {
		return nil, configurationError(settingOAuthURL + " is not an address")
	}
	called, err := url.Parse(base)
	if err != nil {
		return nil, configurationError(settingBaseURL + " is not an address")
	}
	s.base = called.EscapedPath()
	return s, nil
}

// RoundTrip implements http.RoundTripper.
func (s *signer) RoundTrip(r *http.Request) (*http.Response, error) {
	signed := r.Clone(httpx.WithRefresh(r.Context(), s.sign))
	s.sign(signed)
	return s.next.RoundTrip(signed)
}

// sign puts a fresh signature into the request's header.
func (s *signer) sign(r *http.Request) {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // it never fails
	r.Header.Set("Authorization", s.header(r.Method, s.address(r), r.URL.RawQuery, hex.EncodeToString(nonce), s.clock.now()))
}

// address is the request's URL without its query, as the shop sees it: lower-case host,
// default ports left out (RFC 5849, section 3.4.1.2).
func (s *signer) address(r *http.Request) string {
	scheme, host, path := r.URL.Scheme, cmp.Or(r.Host, r.URL.Host), r.URL.EscapedPath()
	if s.seen != nil {
		scheme, host = s.seen.Scheme, s.seen.Host
		path = s.seen.EscapedPath() + strings.TrimPrefix(path, s.base)
	}
	host = strings.ToLower(host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host + path
}

// header returns the value of the Authorization header of one attempt.
func (s *signer) header(method, address, query, nonce string, at time.Time) string {
	own := []pair{
		{"oauth_consumer_key", s.consumerKey},
		{"oauth_nonce", nonce},
		{"oauth_signature_method", "HMAC-SHA256"},
		{"oauth_timestamp", strconv.FormatInt(at.Unix(), 10)},
		{"oauth_token", s.token},
		{"oauth_version", "1.0"},
	}
	mac := hmac.New(sha256.New, []byte(escape(s.consumerSecret)+"&"+escape(s.tokenSecret)))
	mac.Write([]byte(baseString(method, address, append(parseQuery(query), own...))))
	own = append(own, pair{"oauth_signature", base64.StdEncoding.EncodeToString(mac.Sum(nil))})
	parts := make([]string, len(own))
	for i, p := range own {
		parts[i] = p.name + `="` + escape(p.value) + `"`
	}
	return "OAuth " + strings.Join(parts, ", ")
}

// pair is a parameter; two of one name have the order of their values.
type pair struct{ name, value string }

// baseString is what is signed. Magento sorts the escaped names by PHP's strnatcmp,
// where RFC 5849 has byte order: from the eleventh filter group on they differ
// (recordings oauth1-12-filter-groups-*).
func baseString(method, address string, parameters []pair) string {
	escaped := make([]pair, len(parameters))
	for i, p := range parameters {
		escaped[i] = pair{escape(p.name), escape(p.value)}
	}
	slices.SortStableFunc(escaped, func(a, b pair) int { return natural(a.name, b.name) })
	var b strings.Builder
	for i, p := range escaped {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name + "=" + p.value)
	}
	return method + "&" + escape(address) + "&" + escape(b.String())
}

// parseQuery reads the parameters of a query as it is sent. Those that are no UTF-8 or
// no escapes stay as they are; the client sends none.
func parseQuery(raw string) []pair {
	var all []pair
	for part := range strings.SplitSeq(raw, "&") {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			continue // no parameter to Magento either
		}
		all = append(all, pair{unescape(name), unescape(value)})
	}
	return all
}

func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// escape escapes as RFC 5849, section 3.6 does: all but letters, digits and -._~.
func escape(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
	}
	return b.String()
}

// natural compares as PHP's strnatcmp does for texts without blanks that begin with no
// zero: runs of digits by their number, or from the left like decimals when one begins
// with a zero, everything else by byte.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, y := digitRun(a), digitRun(b)
		if x > 0 && y > 0 {
			c := strings.Compare(a[:x], b[:y])
			if a[0] != '0' && b[0] != '0' {
				c = cmp.Or(cmp.Compare(x, y), c)
			}
			if c != 0 {
				return c
			}
			a, b = a[x:], b[y:]
			continue
		}
		if c := cmp.Compare(a[0], b[0]); c != 0 {
			return c
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digitRun returns the length of the run of digits that s begins with.
func digitRun(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}
