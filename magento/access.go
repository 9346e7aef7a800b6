package magento

import (
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// AccessKind is the way a client authenticates.
type AccessKind string

// The ways to authenticate. Exactly one is configured.
const (
	AccessPassword  AccessKind = "password"    // an admin user's name and password
	AccessTwoFactor AccessKind = "two_factor"  // the same, and codes of Google Authenticator
	AccessBearer    AccessKind = "bearer"      // an integration's access token, sent as Bearer
	AccessAdmin     AccessKind = "admin_token" // an admin user's token, made elsewhere
	AccessOAuth     AccessKind = "oauth"       // an integration's four secrets, OAuth 1.0a
)

// Access tells how a client authenticates.
type Access struct {
	Kind AccessKind
	// Expires is the end of a token that was pasted, on the shop's clock. Zero when it
	// does not end, and when the client makes its tokens itself.
	Expires time.Time
}

// Access tells how the client authenticates. It makes no call.
func (c *Client) Access() Access { return c.access }

// The settings that errors name.
const (
	settingBaseURL        = "SYNCD_MAGENTO_BASE_URL"
	settingOAuthURL       = "SYNCD_MAGENTO_OAUTH_URL"
	settingUsername       = "SYNCD_MAGENTO_USERNAME"
	settingPassword       = "SYNCD_MAGENTO_PASSWORD" //nolint:gosec // a variable's name
	settingTOTP           = "SYNCD_MAGENTO_TOTP_SECRET"
	settingToken          = "SYNCD_MAGENTO_ACCESS_TOKEN"        //nolint:gosec // a variable's name
	settingTokenSecret    = "SYNCD_MAGENTO_ACCESS_TOKEN_SECRET" //nolint:gosec // a variable's name
	settingConsumerKey    = "SYNCD_MAGENTO_CONSUMER_KEY"
	settingConsumerSecret = "SYNCD_MAGENTO_CONSUMER_SECRET" //nolint:gosec // a variable's name
)

// waysIn names every way to authenticate, for who has chosen none or two.
const waysIn = "set " + settingUsername + " and " + settingPassword + ", or " + settingToken + " alone, or for OAuth " +
	settingConsumerKey + ", " + settingConsumerSecret + ", " + settingToken + " and " + settingTokenSecret

// wayIn returns the one way to authenticate that cfg describes. Its secrets come
// without the blanks and line ends that they were pasted with; a password stays as it is.
func wayIn(cfg *Config) (Access, error) {
	for _, secret := range []*string{&cfg.AccessToken, &cfg.AccessTokenSecret, &cfg.ConsumerKey, &cfg.ConsumerSecret, &cfg.TOTPSecret} {
		*secret = strings.TrimSpace(*secret)
	}
	type setting struct {
		name  string
		value string
	}
	person := []setting{{settingUsername, cfg.Username}, {settingPassword, cfg.Password}}
	oauth := []setting{
		{settingConsumerKey, cfg.ConsumerKey},
		{settingConsumerSecret, cfg.ConsumerSecret},
		{settingToken, cfg.AccessToken},
		{settingTokenSecret, cfg.AccessTokenSecret},
	}
	pick := func(all []setting, set bool) (names []string) {
		for _, s := range all {
			if (s.value != "") == set {
				names = append(names, s.name)
			}
		}
		return names
	}
	signs := cfg.ConsumerKey != "" || cfg.ConsumerSecret != "" || cfg.AccessTokenSecret != ""
	signsIn := len(pick(person, true)) > 0 || cfg.TOTPSecret != ""
	switch {
	case signsIn && (signs || cfg.AccessToken != ""):
		all := append(append(person, setting{settingTOTP, cfg.TOTPSecret}), oauth...)
		return Access{}, configurationError("two ways to authenticate: " + enumerate(pick(all, true)) + " set together; keep one way: " + waysIn)
	case signs:
		if missing := pick(oauth, false); len(missing) > 0 {
			return Access{}, configurationError("OAuth takes all four values of the integration, and " + enumerate(missing) + " not set; " + waysIn)
		}
		return Access{Kind: AccessOAuth}, nil
	case signsIn:
		if missing := pick(person, false); len(missing) > 0 {
			return Access{}, configurationError("an admin user signs in with name and password, and " + enumerate(missing) + " not set; " + waysIn)
		}
		if cfg.TOTPSecret == "" {
			return Access{Kind: AccessPassword}, nil
		}
		return Access{Kind: AccessTwoFactor}, nil
	case cfg.AccessToken != "":
		return pasted(cfg.AccessToken), nil
	}
	return Access{}, configurationError("no credentials: " + waysIn)
}

// pasted tells what a token is by its form: those of integrations are opaque, those of
// admin users are JWTs from 2.4.4 on.
func pasted(token string) Access {
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
		return Access{Kind: AccessBearer}
	}
	a := Access{Kind: AccessAdmin}
	if claims.ExpiresAt != nil {
		a.Expires = claims.ExpiresAt.UTC()
	}
	return a
}

// ofCustomer reports whether a token is one that the shop gave to a customer (recording
// auth-token-customer-ok).
func ofCustomer(token string) bool {
	const customer = 3
	claims := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(token, claims)
	kind, _ := claims["utypid"].(float64)
	return err == nil && kind == customer
}

// enumerate prints names with their verb: "A is", "A and B are".
func enumerate(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " are"
}
