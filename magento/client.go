package magento

import (
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Config describes one shop. BaseURL is required, and exactly one way to authenticate:
// Username and Password, or AccessToken alone, or AccessToken with AccessTokenSecret,
// ConsumerKey and ConsumerSecret. All other zero values are usable defaults.
type Config struct {
	// BaseURL is the shop's address as people paste it: the shop itself, its
	// /rest, /rest/V1, /index.php or /admin/... page, with or without https://.
	BaseURL string

	// AccessToken alone is sent as Bearer: an integration's access token, or an admin
	// user's token made elsewhere. Magento accepts the former from 2.4.4 on only when
	// the shop's setting oauth/consumer/enable_integration_as_bearer is 1.
	AccessToken string
	// AccessTokenSecret, ConsumerKey and ConsumerSecret are what else belongs to an
	// integration. With them each attempt is signed: OAuth 1.0a, HMAC-SHA256.
	AccessTokenSecret, ConsumerKey, ConsumerSecret string
	// OAuthURL is the shop's address as the shop itself sees it, for OAuth behind a
	// proxy that changes scheme, host or port on the way. Default BaseURL.
	OAuthURL string
	// Username and Password belong to an admin user. Their token is renewed by the
	// client.
	Username, Password string
	// TOTPSecret is the key that the shop showed beside the QR code when that user set
	// up Google Authenticator: base32, in any case, with or without blanks. Empty for a
	// user without two-factor authentication.
	TOTPSecret string
	// Refusals keeps other processes from trying a refused password again within
	// 31 minutes. Nil: each process tries it once, and a sixth refusal within half an
	// hour locks the account.
	Refusals Refusals

	// Transport does time-outs, retries and limits. Nil means
	// [http.DefaultTransport], which does none of them.
	Transport http.RoundTripper
	// UserAgent defaults to "syncd".
	UserAgent string

	// PageSize is the ceiling of a customer page. Default 300, the lowest maximum
	// that shops are known to enforce. A page of orders has at most 100 of them.
	PageSize int
	// PageTarget is the time a page may take before the next one is half as large.
	// Default 5 seconds.
	PageTarget time.Duration
	// Concurrency is how many single reads are in flight at most; walks count apart.
	// Default 2: more only stretches each answer.
	Concurrency int

	// Now is the clock; default [time.Now].
	Now func() time.Time
	// Log defaults to discarding.
	Log *slog.Logger
}

// Client reads one shop. It is safe for concurrent use.
type Client struct {
	cfg       Config
	base      string // scheme://host[/path]/rest/all/V1
	access    Access
	auth      *auth
	clock     *clock
	calls     http.RoundTripper // of the REST API; signed where that is the way in
	customers *pager
	emails    *pager
	orders    *pager
	documents map[DocumentKind]*pager
	singles   chan *session // idle sessions for single reads; Concurrency of them exist
	walks     sessionStack  // idle sessions of finished walks

	// noNewsletter is set once the shop told consent of a customer neither in a list nor
	// singly.
	noNewsletter atomic.Bool
}

// Address is the shop's own address, as made out of the configured one.
func (c *Client) Address() string { return strings.TrimSuffix(c.base, "/rest/all/V1") }

// New returns a client of the shop; it makes no call. An error has the class
// Configuration and names the variable to mend.
func New(cfg Config) (*Client, error) {
	base, err := normalise(settingBaseURL, cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	access, err := wayIn(&cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Transport == nil {
		cfg.Transport = http.DefaultTransport
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "syncd"
	}
	if cfg.PageSize <= 0 {
		cfg.PageSize = customerPageSize
	}
	if cfg.PageTarget <= 0 {
		cfg.PageTarget = 5 * time.Second
	}
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = 2
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		cfg:       cfg,
		base:      base + "/rest/all/V1",
		access:    access,
		calls:     cfg.Transport,
		customers: newPager(customerPageSize, cfg.PageSize, cfg.PageTarget),
		emails:    newPager(emailPageSize, emailPageSize, cfg.PageTarget),
		orders:    newPager(orderPageSize, min(orderPageSize, cfg.PageSize), cfg.PageTarget),
		documents: map[DocumentKind]*pager{},
		singles:   make(chan *session, cfg.Concurrency),
	}
	for _, kind := range documentKinds() {
		c.documents[kind] = newPager(customerPageSize, cfg.PageSize, cfg.PageTarget)
	}
	shop := &clock{own: cfg.Now}
	if c.auth, err = newAuth(cfg, access, shop); err != nil {
		return nil, err
	}
	c.clock = shop
	if access.Kind == AccessOAuth {
		if c.calls, err = newSigner(cfg, base, cfg.Transport, shop); err != nil {
			return nil, err
		}
	}
	for range cfg.Concurrency {
		c.singles <- c.newSession()
	}
	return c, nil
}
