package magentotest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// timeDeviation is how far ahead of the shop's clock a signed call may be dated. An old
// date is taken (recordings oauth1-future-timestamp, oauth1-old-timestamp).
const timeDeviation = 600 * time.Second

// integrationID is the consumer's row, which the refusal of a nonce shows.
const integrationID = "1"

// signed reports whether a call carries an OAuth header, well or badly.
func (c *call) signed() bool {
	scheme, _, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "OAuth")
}

// verify checks the signature of a call in the order the shop does, with its messages.
// A nonce is used up even if the signature then is wrong. The caller holds the lock.
func (c *call) verify() *failure {
	refuse := func(status int, message string, parameters ...string) *failure {
		f := fail(status, message, parameters...)
		f.session = true
		return f
	}
	s, mine := c.shop, c.shop.cfg.Integration
	all := c.parameters()
	var missing []string
	for _, name := range []string{"oauth_consumer_key", "oauth_signature", "oauth_signature_method", "oauth_nonce", "oauth_timestamp", "oauth_token"} {
		if _, ok := all[name]; !ok {
			missing = append(missing, name)
		}
	}
	if version, ok := all["oauth_version"]; ok && version != "1.0" {
		return refuse(http.StatusBadRequest, `The "%1" Oauth version isn't supported.`, version)
	}
	if len(missing) > 0 {
		f := lacking(missing)
		f.session = true
		return f
	}
	if method := all["oauth_signature_method"]; method != "HMAC-SHA256" {
		return refuse(http.StatusBadRequest, "Signature method %1 is not supported", method)
	}
	if all["oauth_consumer_key"] != mine.ConsumerKey {
		return refuse(http.StatusUnauthorized, "A consumer having the specified key does not exist")
	}
	stamp, _ := strconv.ParseInt(all["oauth_timestamp"], 10, 64)
	if stamp <= 0 || time.Unix(stamp, 0).After(s.now().Add(timeDeviation)) {
		return refuse(http.StatusUnauthorized, "An error occurred validating the nonce")
	}
	if s.keys.nonces[all["oauth_nonce"]] {
		return refuse(http.StatusUnauthorized, "The nonce is already being used by the consumer with ID %1", integrationID)
	}
	s.keys.nonces[all["oauth_nonce"]] = true
	if all["oauth_token"] != mine.AccessToken {
		return refuse(http.StatusUnauthorized, "Specified token does not exist")
	}
	signature := all["oauth_signature"]
	delete(all, "oauth_signature")
	if !hmac.Equal([]byte(signature), []byte(signature256(c.request.Method, c.seen(), all, mine.ConsumerSecret, mine.AccessTokenSecret))) {
		return refuse(http.StatusUnauthorized, "The signature is invalid. Verify and try again.")
	}
	return nil
}

// seen is the address that the shop makes of a request: the host it was given, and https
// only when TLS ends here or a proxy says so. The caller holds the lock.
func (c *call) seen() string {
	origin := c.shop.switches.SeenAs
	if origin == "" {
		origin = "http://"
		if c.request.TLS != nil || c.request.Header.Get("X-Forwarded-Proto") == "https" {
			origin = "https://"
		}
		origin += strings.ToLower(c.request.Host)
	}
	path, _, _ := strings.Cut(c.request.RequestURI, "?")
	return origin + path
}

// parameters are those of the header and of the query. A part of the query that has not
// exactly one = is none (recording oauth1-value-with-raw-equals), a + stays one
// (oauth1-filter-space-as-plus), and of one name the last counts.
func (c *call) parameters() map[string]string {
	all := map[string]string{}
	_, header, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	for part := range strings.SplitSeq(header, ",") {
		if name, value, ok := strings.Cut(strings.TrimSpace(part), "="); ok && strings.HasPrefix(name, "oauth_") {
			all[rawDecoded(name)] = rawDecoded(strings.Trim(value, `"`))
		}
	}
	for part := range strings.SplitSeq(c.request.URL.RawQuery, "&") {
		if pair := strings.Split(part, "="); len(pair) == 2 && !strings.HasPrefix(pair[0], "oauth_") {
			all[rawDecoded(pair[0])] = rawDecoded(pair[1])
		}
	}
	return all
}

// rawDecoded is PHP's rawurldecode: a stray % stands for itself.
func rawDecoded(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// signature256 is the signature that the shop computes.
func signature256(method, address string, parameters map[string]string, consumerSecret, tokenSecret string) string {
	encoded := map[string]string{}
	var names []string
	for name, value := range parameters {
		names = append(names, rawEncoded(name))
		encoded[rawEncoded(name)] = rawEncoded(value)
	}
	slices.SortFunc(names, strnatcmp)
	for i, name := range names {
		names[i] = name + "=" + encoded[name]
	}
	base := method + "&" + rawEncoded(address) + "&" + rawEncoded(strings.Join(names, "&"))
	mac := hmac.New(sha256.New, []byte(rawEncoded(consumerSecret)+"&"+rawEncoded(tokenSecret)))
	mac.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// rawEncoded is PHP's rawurlencode.
func rawEncoded(s string) string {
	return strings.NewReplacer("+", "%20", "%7E", "~").Replace(url.QueryEscape(s))
}

// strnatcmp compares as PHP's function of that name: zeros that lead the whole text and
// blanks are skipped, runs of digits compare as numbers, but from the left like decimals
// when one of them begins with a zero.
func strnatcmp(a, b string) int {
	if a == "" || b == "" {
		return len(a) - len(b)
	}
	isDigit := func(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
	for len(a) > 1 && a[0] == '0' && isDigit(a[1:]) {
		a = a[1:]
	}
	for len(b) > 1 && b[0] == '0' && isDigit(b[1:]) {
		b = b[1:]
	}
	for {
		a, b = strings.TrimLeft(a, " \t\n\v\f\r"), strings.TrimLeft(b, " \t\n\v\f\r")
		if isDigit(a) && isDigit(b) {
			decimals := a[0] == '0' || b[0] == '0'
			bias := 0
			for isDigit(a) && isDigit(b) {
				if bias == 0 {
					bias = int(a[0]) - int(b[0])
				}
				if bias != 0 && decimals {
					return bias
				}
				a, b = a[1:], b[1:]
			}
			switch {
			case isDigit(a):
				return 1
			case isDigit(b):
				return -1
			case bias != 0:
				return bias
			}
		}
		switch {
		case a == "" || b == "":
			return len(a) - len(b)
		case a[0] != b[0]:
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
		if a == "" || b == "" {
			return len(a) - len(b)
		}
	}
}
