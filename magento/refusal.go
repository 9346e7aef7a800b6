package magento

import (
	"net/http"
	"strings"
)

// ofNonce recognises a signature that the shop refuses for its nonce or its time, and
// that may be right with a fresh one: something between repeated the request, or our
// clock is ahead of the shop's (recordings oauth1-nonce-reuse, oauth1-future-timestamp).
func (e *Error) ofNonce() bool {
	return strings.Contains(e.Message, "nonce") || strings.Contains(e.Message, "oauth_timestamp")
}

// explain says how to go on after the shop refused a call that carried credentials.
// Magento answers everything that is wrong with a caller by the same 401, whose one
// clue is the resource it names; how the client gets in tells what can be meant.
func (a *auth) explain(e *Error) {
	if a.kind == AccessOAuth && (e.Status == http.StatusUnauthorized || e.ofSignature()) {
		a.explainSignature(e)
		return
	}
	if e.Status != http.StatusUnauthorized {
		return
	}
	resource := e.Parameters["resources"]
	before, elsewhere := a.took(e.Route)
	switch {
	case a.signsIn():
		e.Hint = "give the role of the admin user (System > Permissions > User Roles, Role Resources) " + ticked(resource)
	case ofCustomer(a.fixed):
		e.Hint = settingToken + " holds the token of a customer, who may read nothing but their own: write an integration's token, or an admin user's"
	case a.expired():
		e.Hint = "the admin user's token in " + settingToken + " has expired on " + inUTC(a.expires) + ": " + renewToken
	case before && a.kind == AccessAdmin:
		e.Hint = "the shop took this token before: it was revoked, or the role of its admin user lost " + ticked(resource) + ": " + renewToken
	case before:
		e.Hint = "the shop took this token before: the integration (System > Extensions > Integrations) was deactivated or reauthorized, or lost " + ticked(resource) +
			", or " + bearerSetting + " was switched off"
	case elsewhere && a.kind == AccessAdmin:
		e.Hint = "the shop takes this token for other calls, so that the role of its admin user (System > Permissions > User Roles, Role Resources) lacks " + ticked(resource)
	case elsewhere:
		e.Hint = "the shop takes this token for other calls, so that the integration (System > Extensions > Integrations, API tab) lacks " + ticked(resource)
	case a.kind == AccessAdmin:
		e.Hint = "the admin user's token in " + settingToken + " is not the shop's or was revoked, or the user's role lacks " + ticked(resource) + ": " + renewToken
	default:
		e.Hint = "the token is not accepted for " + ticked(resource) + ": check " + settingToken + "; give the integration (System > Extensions > Integrations, API tab) that resource" +
			"; from Magento 2.4.4 on also run `bin/magento config:set " + bearerSetting + " 1`, or use OAuth: " +
			settingConsumerKey + ", " + settingConsumerSecret + " and " + settingTokenSecret + " beside the token"
	}
}

// bearerSetting is the shop's switch for tokens of integrations, off since Magento 2.4.4.
const bearerSetting = "oauth/consumer/enable_integration_as_bearer" //nolint:gosec // a setting's name

// took reports whether the shop took the pasted token on the route before, and on any.
func (a *auth) took(route string) (before, elsewhere bool) {
	a.taken.Range(func(key, _ any) bool {
		elsewhere = true
		before = key == route
		return !before
	})
	return before, elsewhere
}

// renewToken is the way out of a token that was pasted and has ended.
const renewToken = "write a new one, or let syncd fetch them with " + settingUsername + " and " + settingPassword

// expired reports whether a pasted token has ended on the shop's clock.
func (a *auth) expired() bool { return !a.expires.IsZero() && !a.clock.now().Before(a.expires) }

// ofSignature recognises the refusals of a signature that are no 401.
func (e *Error) ofSignature() bool {
	return e.Status == http.StatusBadRequest && (strings.HasPrefix(e.Message, "Signature method") || strings.Contains(e.Filled, "oauth_"))
}

// explainSignature explains the refusal of a signed call. Messages are those of the
// recordings oauth1-*.
func (a *auth) explainSignature(e *Error) {
	const all = settingConsumerKey + ", " + settingConsumerSecret + ", " + settingToken + " and " + settingTokenSecret
	switch {
	case e.Parameters["resources"] != "":
		e.Hint = "give the integration (System > Extensions > Integrations, API tab) " + ticked(e.Parameters["resources"])
	case strings.HasPrefix(e.Message, "A consumer having"):
		e.Hint = "check " + settingConsumerKey + ": the shop knows no such integration"
	case strings.HasPrefix(e.Message, "Specified token"):
		e.Hint = "check " + settingToken + ": the shop knows no such token; one that was reauthorized has four new values"
	case strings.HasPrefix(e.Message, "The signature is invalid"):
		e.Hint = "check " + settingConsumerSecret + " and " + settingTokenSecret + "; if they are right, a proxy changes scheme, host or port on the way to the shop: set " + settingOAuthURL + " to the shop's address as it arrives there, such as http://shop.example"
	case e.ofNonce():
		e.Hint = "two signatures in a row were refused: is the clock of the shop or of the proxy before it wrong, or does a proxy send requests twice?"
	case e.ofSignature():
		e.Hint = "the shop or a proxy does not take the Authorization header as it is sent: OAuth 1.0a with HMAC-SHA256"
	default:
		e.Hint = "check the integration's four values: " + all
	}
}

// manageCustomers is what [Client.Unsubscribe] needs. It cannot be tried without a write,
// so that [Client.Permissions] leaves it out.
const manageCustomers = "Magento_Customer::manage"

// ticked names a resource and where the back end shows it.
func ticked(resource string) string {
	if resource == "" {
		return "what the call needs"
	}
	if resource == manageCustomers {
		return resource + " (Customers > All Customers)"
	}
	for _, p := range needed() {
		if p.Resource == resource {
			return resource + " (" + p.Tick + ")"
		}
	}
	return resource
}
