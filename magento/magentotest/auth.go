package magentotest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	sessionLife = time.Hour
	tokenLife   = time.Hour // webapi/jwtauth/admin_expiration

	// After so many failures (oauth/authentication_lock) a user name is refused for the
	// time after the last of them; the right password too.
	maxFailures = 6
	lockTime    = 1800 * time.Second
)

// keyring is what the shop knows of its tokens and of failed sign-ins.
type keyring struct {
	secret   [sha256.Size]byte
	failures map[string]failures  // by user name
	opaque   map[string]time.Time // the ends of tokens that do not say them
	nonces   map[string]bool      // of signed calls
	codes    map[string]bool      // of two factors, used
}

type failures struct {
	count int
	until time.Time
}

func newKeyring(seed uint64) keyring {
	secret := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("magentotest"), seed))
	return keyring{
		secret: secret, failures: map[string]failures{},
		opaque: map[string]time.Time{}, nonces: map[string]bool{}, codes: map[string]bool{},
	}
}

// revoke makes the tokens issued so far invalid.
func (k *keyring) revoke() {
	k.secret = sha256.Sum256(k.secret[:])
	clear(k.opaque)
}

// issueOpaque returns a new token as before 2.4.4: 32 letters and digits.
func (k *keyring) issueOpaque(end time.Time) string {
	token := strings.ToLower(k.sign("opaque " + strconv.Itoa(len(k.opaque))))[:32]
	token = strings.NewReplacer("-", "x", "_", "y").Replace(token)
	k.opaque[token] = end
	return token
}

type claims struct {
	UID     int   `json:"uid"`
	Kind    int   `json:"utypid"` // 2: an admin user
	Issued  int64 `json:"iat"`
	Expires int64 `json:"exp"`
}

// issue returns a new admin token, a JWT as the shop signs it.
func (k *keyring) issue(now time.Time, life time.Duration) string {
	payload, err := json.Marshal(claims{1, 2, now.Unix(), now.Add(life).Unix()})
	if err != nil {
		panic(err)
	}
	text := encode([]byte(`{"kid":"1","alg":"HS256"}`)) + "." + encode(payload)
	return text + "." + k.sign(text)
}

func (k *keyring) sign(text string) string {
	mac := hmac.New(sha256.New, k.secret[:])
	mac.Write([]byte(text))
	return encode(mac.Sum(nil))
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// valid reports whether a bearer token is one of ours and still lives.
func (k *keyring) valid(token string, now time.Time) bool {
	if end, ok := k.opaque[token]; ok {
		return now.Before(end)
	}
	i := strings.LastIndexByte(token, '.')
	if i < 0 || !hmac.Equal([]byte(k.sign(token[:i])), []byte(token[i+1:])) {
		return false
	}
	_, payload, _ := strings.Cut(token[:i], ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return false
	}
	var c claims
	return json.Unmarshal(text, &c) == nil && now.Unix() < c.Expires
}

// authorise answers everything that is wrong with a caller by the same 401; only the
// resource in its parameters tells what was asked for. What is wrong with a signature
// has messages of its own.
func (c *call) authorise(resource string) *failure {
	scheme, token, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	s := c.shop
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.signed() {
		if bad := c.verify(); bad != nil {
			return bad
		}
	}
	known := c.signed() || strings.EqualFold(scheme, "Bearer") &&
		(token == s.cfg.Integration.AccessToken && !s.switches.BearerOff || s.keys.valid(token, s.cfg.Now()))
	if known && !slices.Contains(s.switches.Denied, resource) {
		return nil
	}
	f := fail(http.StatusUnauthorized, "The consumer isn't authorized to access %resources.")
	f.parameters = object{{"resources", resource}}
	f.session = !known // recording auth-forbidden-resource-limited-integration has none
	return f
}

// adminToken exchanges user name and password for a token.
func (c *call) adminToken() (any, *failure) {
	in, bad := c.credentials("username", "password")
	if bad != nil {
		return nil, bad
	}
	s := c.shop
	s.mu.Lock()
	defer s.mu.Unlock()
	if bad := s.signIn(in["username"], in["password"]); bad != nil {
		return nil, bad
	}
	c.session = true
	if s.switches.TwoFactor {
		f := fail(http.StatusBadRequest, "Please ask an administrator with sufficient access to configure 2FA first")
		if s.switches.configured() {
			f = fail(http.StatusBadRequest, "Please use the 2fa provider-specific endpoints to obtain a token.")
			f.parameters = object{{"active_providers", list{"google"}}}
		}
		f.session = true
		return nil, f
	}
	return s.newToken(), nil
}

// newToken returns a new token of the admin user. The caller holds the lock.
func (s *Shop) newToken() string {
	if s.switches.OpaqueTokens {
		return s.keys.issueOpaque(s.now().Add(s.life()))
	}
	return s.keys.issue(s.now(), s.life())
}

func (s *Shop) life() time.Duration {
	if s.switches.TokenLife > 0 {
		return s.switches.TokenLife
	}
	if s.switches.OpaqueTokens {
		return opaqueLife
	}
	return tokenLife
}

// signIn checks a password. Wrong, unknown and locked look alike, save that a locked
// one leaves no session. The caller holds the lock.
func (s *Shop) signIn(user, password string) *failure {
	refused := fail(http.StatusUnauthorized,
		"The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later.")
	now, past := s.cfg.Now(), s.keys.failures[user]
	if !now.Before(past.until) {
		past = failures{}
	}
	if past.count >= maxFailures {
		return refused
	}
	if user == Username && password == Password {
		delete(s.keys.failures, user)
		return nil
	}
	s.keys.failures[user] = failures{past.count + 1, now.Add(lockTime)}
	refused.session = true
	return refused
}

// credentials reads the named texts from a JSON body.
func (c *call) credentials(names ...string) (map[string]string, *failure) {
	in, bad := c.jsonBody()
	if bad != nil {
		return nil, bad
	}
	out := map[string]string{}
	var missing []string
	for _, name := range names {
		text, ok := in[name].(string)
		if !ok || text == "" {
			missing = append(missing, name)
		}
		out[name] = text
	}
	if len(missing) > 0 {
		return nil, lacking(missing)
	}
	return out, nil
}

// lacking is the refusal of a call without some parameters.
func lacking(names []string) *failure {
	if len(names) == 1 {
		return required(names[0])
	}
	f := fail(http.StatusBadRequest, "One or more input exceptions have occurred.")
	for _, name := range names {
		f.errors = append(f.errors, required(name).tree())
	}
	return f
}

// jsonBody reads the body as an object. The shop also reads XML; this one does not.
func (c *call) jsonBody() (map[string]any, *failure) {
	kind, _, err := mime.ParseMediaType(c.request.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, fail(http.StatusBadRequest,
			"Server cannot understand Content-Type HTTP header media type "+c.request.Header.Get("Content-Type"))
	}
	in := map[string]any{}
	if len(c.body) == 0 {
		return in, nil
	}
	if json.Unmarshal(c.body, &in) != nil {
		return nil, fail(http.StatusBadRequest, "Decoding error.")
	}
	return in, nil
}
