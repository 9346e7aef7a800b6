package copernicatest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// codeLifetime is how long an OAuth code may wait for its exchange. Nobody says.
const codeLifetime = 5 * time.Minute

// grant is an authorization token that was issued.
type grant struct {
	access  string
	expires time.Time
}

// pendingUse is an OAuth code that was handed out.
type pendingUse struct {
	redirect string
	expires  time.Time
}

// authenticate is the authentication host: an access token comes in as a form field,
// an authorization token goes out.
func (a *Account) authenticate(w http.ResponseWriter, r *http.Request) {
	var given string
	switch {
	case r.Method == http.MethodPost:
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		// Only a form counts, also when the body would be understood as something else.
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			given, _ = query(parseQuery(string(raw))).get("access_token")
		}
	case r.Method == http.MethodGet && a.cfg.TokenByGET:
		given, _ = query(parseQuery(r.URL.RawQuery)).get("access_token")
	default:
		a.send(w, r, newest, fail(msgMethod))
		return
	}
	token, ok := a.issue(given)
	if !ok {
		status := a.cfg.AuthHostFailure
		if status == 0 {
			status = http.StatusBadRequest
		}
		a.send(w, r, newest, failStatus(status, msgToken))
		return
	}
	body, contentType := token, "text/plain; charset=utf-8"
	switch {
	case a.cfg.TokenKey != "":
		body, contentType = fmt.Sprintf("{%q:%q}", a.cfg.TokenKey, token), "application/json"
	case a.cfg.TokenQuoted:
		body, contentType = fmt.Sprintf("%q", token), "application/json"
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = io.WriteString(w, body)
}

// issue makes an authorization token for a good access token.
func (a *Account) issue(access string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.access[access] {
		return "", false
	}
	now := a.now()
	for token, g := range a.tokens {
		if !now.Before(g.expires) {
			delete(a.tokens, token)
		}
	}
	life := a.cfg.TokenLifetime
	if life <= 0 {
		life = 24 * time.Hour
	}
	g := grant{access: access, expires: now.Add(life)}
	// Signed with a key that nobody keeps: clients cannot verify it either.
	b64 := base64.RawURLEncoding.EncodeToString
	token := b64([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		b64(fmt.Appendf(nil, `{"iss":"copernica","jti":%q,"iat":%d,"exp":%d}`, opaque(8), now.Unix(), g.expires.Unix()))
	mac := hmac.New(sha256.New, []byte(opaque(16)))
	mac.Write([]byte(token))
	token += "." + b64(mac.Sum(nil))
	a.tokens[token] = g
	return token, true
}

// entitled reports whether a call carries what its version asks for.
func (a *Account) entitled(req *request, authorization string) bool {
	if req.version == newest {
		return a.authorized(authorization, req.now)
	}
	token, _ := req.query.get("access_token")
	return a.access[token] && !a.cfg.OnlyVersion4
}

func (a *Account) authorized(header string, now time.Time) bool {
	token, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return false
	}
	if a.cfg.AccessTokenAsBearer && a.access[token] {
		return true
	}
	g, ok := a.tokens[token]
	return ok && now.Before(g.expires) && (a.cfg.TokensOutliveRevocation || a.access[g.access])
}

// authorize is the consent page. The user answers at once as [Switches.Consent] says. A
// state that is too short brings a redirect without code.
func (a *Account) authorize(w http.ResponseWriter, r *http.Request) {
	q := query(parseQuery(r.URL.RawQuery))
	client, _ := q.get("client_id")
	redirect, _ := q.get("redirect_uri")
	state, _ := q.get("state")
	kind, _ := q.get("response_type")
	target, err := url.Parse(redirect)
	if err != nil || !target.IsAbs() || client != ClientKey || kind != "code" || r.Method != http.MethodGet {
		http.Error(w, "This application cannot be authorized.", http.StatusBadRequest)
		return
	}
	if a.cfg.Consent == ConsentForged {
		state = opaque(32)
	}
	added := "state=" + url.QueryEscape(state)
	least := a.cfg.StateLength
	if least == 0 {
		least = 32
	}
	switch {
	case a.cfg.Consent == ConsentRefused:
		added += "&error=access_denied&error_description=" + url.QueryEscape("The user refused access")
	case a.cfg.Consent == ConsentSilent:
	case len(state) >= least:
		a.mu.Lock()
		code := opaque(16)
		a.codes[code] = pendingUse{redirect: redirect, expires: a.now().Add(codeLifetime)}
		a.mu.Unlock()
		added += "&code=" + code
	}
	if target.RawQuery != "" {
		added = target.RawQuery + "&" + added
	}
	target.RawQuery = added
	w.Header().Set("Location", target.String())
	w.WriteHeader(http.StatusFound)
}

// exchange is GET /token: a code becomes an access token, once.
func (a *Account) exchange(req *request) answer {
	client, _ := req.query.get("client_id")
	secret, _ := req.query.get("client_secret")
	redirect, _ := req.query.get("redirect_uri")
	code, _ := req.query.get("code")
	use, ok := a.codes[code]
	delete(a.codes, code)
	if !ok || req.method != http.MethodGet || client != ClientKey || secret != ClientSecret ||
		redirect != use.redirect || !req.now.Before(use.expires) {
		return fail(msgData)
	}
	token := opaque(16)
	a.access[token] = true
	return answer{body: fmt.Appendf(nil, `{"access_token":%q}`, token)}
}

// Revoke withdraws every API access token, as the merchant does in the dashboard.
// Authorization tokens die with them unless [Switches.TokensOutliveRevocation].
func (a *Account) Revoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.access)
}

// Grant makes an API access token good, a revoked one again.
func (a *Account) Grant(accessToken string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.access[accessToken] = true
}

// RevokeTokens ends all authorization tokens at once; the access tokens stay good.
func (a *Account) RevokeTokens() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.tokens)
}

// opaque returns n random bytes in hex.
func opaque(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
