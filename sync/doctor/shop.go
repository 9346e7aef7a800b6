package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

// searchSlow is how long the look for changes may take before it is worth an index. It
// is made on every run of a stream.
const searchSlow = 2 * time.Second

// Shop is a shop to check.
type Shop struct {
	Client *magento.Client
	Watch  *Watch           // stands before the client's transport
	Now    func() time.Time // this machine's clock

	// PageSize is the longest page that is configured.
	PageSize int
	// Orders says that orders are read, so that the permission for them is needed.
	Orders bool
	// WriteBack says that customers are to be unsubscribed, which needs a permission of its own.
	WriteBack bool
	// Same reports whether the state was made with this shop; nil: nobody knows.
	Same func(context.Context) error
	// Unopened says that there is a state, which could not be opened, so that Same is nil.
	Unopened bool

	told        string // what the shop says of its version
	permissions []magento.Permission
	reason      error // why none of them could be found out
	traits      magento.Traits
}

const (
	groupShop  = "shop"
	slowShop   = "see why the shop takes so long: its load, its var/log, or what stands before it"
	checkSites = "stores"
)

// Checks are the checks of the shop. They are made once.
func (s *Shop) Checks() []Check {
	checks := []Check{
		{Name: "address", Try: s.address},
		{Name: "sign-in", After: []string{"address"}, Try: s.signIn},
		{Name: "same shop", After: []string{"address"}, Try: s.same},
		{Name: "clock", After: []string{"address"}, Try: clock(s.Watch, "the shop's server", "the shop's")},
	}
	for _, subject := range []string{"customers", "orders", "stores", "customer groups", "invoices", "shipments", "credit memos"} {
		checks = append(checks, Check{Name: permissionName(subject), After: []string{"sign-in"}, Try: s.permission(subject)})
	}
	checks = append(checks,
		Check{Name: checkSites, After: []string{permissionName("stores")}, Try: s.stores},
		Check{Name: "customers", After: []string{permissionName("customers")}, Try: s.customers},
		Check{Name: "newsletter", After: []string{"customers"}, Try: s.newsletter},
		Check{Name: "page size", After: []string{"customers"}, Try: s.pageSize},
		Check{Name: "version", After: []string{"address"}, Try: s.version},
	)
	for i := range checks {
		checks[i].Group, checks[i].Slow = groupShop, slowShop
	}
	return checks
}

func permissionName(subject string) string { return "may read " + subject }

// address asks for the version, which needs no credentials: an answer of any content
// proves that somebody listens there.
func (s *Shop) address(ctx context.Context) Finding {
	began := s.Now()
	told, err := s.Client.Version(ctx)
	if err != nil {
		return shopError(err)
	}
	s.told = told
	return certificate(s.Watch, s.Now(), Good("%s answers in %s", s.Client.Address(), span(s.Now().Sub(began))))
}

// same makes sure that the state does not belong to a shop at another address.
func (s *Shop) same(ctx context.Context) Finding {
	switch {
	case s.Same == nil && s.Unopened:
		return Unneeded("not tried: the state could not be opened")
	case s.Same == nil:
		return Unneeded("there is no state yet")
	}
	if err := s.Same(ctx); err != nil {
		return Wrong("", "%s", err)
	}
	return Good("the state was made with a shop at this address, or with none yet")
}

// signIn tries every permission: only all of them together tell a token that is not
// accepted from one that lacks a permission.
func (s *Shop) signIn(ctx context.Context) Finding {
	s.permissions, s.reason = s.Client.Permissions(ctx)
	if s.reason != nil {
		return shopError(s.reason)
	}
	if err := s.unanswered(); err != nil {
		return shopError(err)
	}
	access := s.Client.Access()
	switch access.Kind {
	case magento.AccessPassword:
		return Good("user name and password are accepted")
	case magento.AccessTwoFactor:
		return Good("user name, password and second factor are accepted")
	case magento.AccessOAuth:
		return Good("the integration's four secrets are accepted (OAuth 1.0a)")
	case magento.AccessAdmin:
		const fix = "make an integration (System > Extensions > Integrations), whose token does not end"
		if access.Expires.IsZero() {
			return Doubtful(fix, "an admin user's token is accepted, which may end at any time")
		}
		return Doubtful(fix, "an admin user's token is accepted, which ends at %s, in %s", moment(access.Expires), span(access.Expires.Sub(s.Now())))
	default:
		return Good("the access token is accepted")
	}
}

// unanswered returns the error of a shop that answered none of the calls in a way that
// says anything about permissions, such as a wrong address.
func (s *Shop) unanswered() error {
	for _, p := range s.permissions {
		if p.Granted() || p.Refused() {
			return nil
		}
	}
	if len(s.permissions) == 0 {
		return nil
	}
	return s.permissions[0].Err
}

func (s *Shop) permission(subject string) func(context.Context) Finding {
	return func(context.Context) Finding {
		for _, p := range s.permissions {
			if p.Needed == subject {
				return s.granted(p)
			}
		}
		return Unneeded("not asked for")
	}
}

func (s *Shop) granted(p magento.Permission) Finding {
	switch {
	case p.Granted():
		return Good("%s is granted", p.Resource)
	case p.Optional && !s.Orders:
		return Unneeded("orders are not read")
	case p.Optional:
		return s.withheld(p)
	case !p.Refused():
		return shopError(p.Err)
	case p.Needed == "orders" && !s.Orders:
		return Doubtful(tick(p), "%s is refused, which orders would need", p.Resource)
	default:
		return Wrong(tick(p), "%s is refused", p.Resource)
	}
}

// withheld is a permission that no stream needs.
func (s *Shop) withheld(p magento.Permission) Finding {
	const without = "what they change in an order whose own time stays, such as a partial shipment, waits for the sweep over the orders"
	if p.Refused() {
		return Doubtful(tick(p), "%s is refused: %s", p.Resource, without)
	}
	f := shopError(p.Err)
	return Doubtful(f.Fix, "%s: %s", f.Text, without)
}

func tick(p magento.Permission) string {
	return fmt.Sprintf("tick %s for the integration (System > Extensions > Integrations, API tab) or for the admin user's role", p.Tick)
}

func (s *Shop) stores(ctx context.Context) Finding {
	found, err := s.Client.Stores(ctx)
	if err != nil {
		return shopError(err)
	}
	var codes []string
	for _, w := range found.Websites {
		if w.ID != 0 { // the back end's
			codes = append(codes, w.Code)
		}
	}
	views := 0
	for _, v := range found.Views {
		if v.ID != 0 && v.Active {
			views++
		}
	}
	if len(codes) == 0 {
		return Wrong("is SYNCD_MAGENTO_BASE_URL the address of the right shop?", "the shop has no website")
	}
	return Good("%s (%s), %s", counted(len(codes), "website"), listed(codes), counted(views, "active store view"))
}

// customers finds out the shop's habits with one look for changes.
func (s *Shop) customers(ctx context.Context) Finding {
	t, err := s.Client.Traits(ctx, s.PageSize)
	if err != nil {
		return shopError(err)
	}
	s.traits = t
	text := fmt.Sprintf("%s, changes among them found in %s", counted(int(t.Customers), "customer"), span(t.Search))
	if t.Search > searchSlow {
		return Doubtful("let the shop's developer put an index on customer_entity.updated_at, which Magento does not have", "%s", text)
	}
	return Good("%s", text)
}

func (s *Shop) newsletter(context.Context) Finding {
	switch {
	case !s.traits.Subscription:
		return Wrong("enable the shop's module Magento_Newsletter", "customers do not say whether they take the newsletter, so consent cannot be read")
	case s.traits.SubscriptionSingly:
		return Doubtful("update the shop to Magento 2.4 when you can", "lists of customers do not say whether they take it, so each customer is read for it, which takes longer")
	default:
		if s.WriteBack {
			return Good("customers say whether they take it; to take unsubscribes back needs Magento_Customer::manage " +
				"(tick Customers > All Customers), which cannot be tried without a write")
		}
		return Good("customers say whether they take it")
	}
}

func (s *Shop) pageSize(context.Context) Finding {
	t := s.traits
	switch {
	case t.MaxPageSize > 0 && t.MaxPageSize < s.PageSize:
		return Doubtful(fmt.Sprintf("set SYNCD_MAGENTO_PAGE_SIZE=%d", t.MaxPageSize),
			"the shop gives at most %d records at once and SYNCD_MAGENTO_PAGE_SIZE is %d: each start asks for too many first", t.MaxPageSize, s.PageSize)
	case t.RepeatsLastPage:
		return Good("%d records at once; the shop repeats its last page (Magento 2.3), which syncd does not ask for", s.PageSize)
	default:
		return Good("%d records at once", s.PageSize)
	}
}

// version names what is known of the version.
func (s *Shop) version(context.Context) Finding {
	switch {
	case s.told == "":
		return Good("the shop does not tell, which does no harm")
	case strings.HasPrefix(s.told, "Magento/2.4"):
		return Good("%s; from 2.4.0 to 2.4.2 a customer with two newsletter subscriptions breaks a page of customers: `syncd dead` would name the record", s.told)
	case strings.HasPrefix(s.told, "Magento/2."):
		return Doubtful("update it when you can", "%s is no longer supported by its maker", s.told)
	default:
		return Doubtful("syncd is made for Magento 2", "%s", s.told)
	}
}

// shopError is a failed call, its hint apart.
func shopError(err error) Finding {
	if errors.Is(err, context.DeadlineExceeded) {
		return Wrong(slowShop, "the shop does not answer in time")
	}
	e, ok := errors.AsType[*magento.Error](err)
	if !ok || e.Hint == "" || err != error(e) { //nolint:errorlint // what is wrapped has more to say
		return Wrong("", "%s", err)
	}
	plain := *e
	plain.Hint = ""
	f := Wrong(e.Hint, "%s", strings.TrimRight(plain.Error(), "."))
	if e.Class == fault.Retry && e.Status == 503 {
		f.Fix += "; try again when it is back"
	}
	return f
}

// counted prints a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(int64(n)) + " " + noun + "s"
}

// grouped prints a number with commas between thousands.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// listed prints the first names of a list.
func listed(names []string) string {
	const most = 10
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
