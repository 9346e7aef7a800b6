package magento

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// Permission is one resource of Magento's access control that the client asks for.
type Permission struct {
	// Resource is its name as the shop prints it, such as "Magento_Customer::customer".
	Resource string
	// Tick is where to tick it in the back end, on the API tab of an integration and
	// under Role Resources of a user role.
	Tick string
	// Needed says what for: "customers", "orders", "stores", "customer groups", or one of
	// the kinds of documents: "invoices", "shipments", "credit memos".
	Needed string
	// Optional says that no stream needs it: it brings changes of orders sooner.
	Optional bool
	// Err is nil when the shop grants it. Of class Credentials it is a refusal; any
	// other error says why it could not be found out.
	Err error
}

// Granted reports whether the shop grants the permission.
func (p Permission) Granted() bool { return p.Err == nil }

// Refused reports whether the shop was asked and refused.
func (p Permission) Refused() bool {
	e, ok := errors.AsType[*Error](p.Err)
	return ok && e.Status == http.StatusUnauthorized
}

// need is a resource and the cheapest call that needs it.
type need struct {
	Permission
	route  string
	fields string
}

// needed lists what the client asks for. Names and ticks of the last three are those of
// acl.xml of the module Magento_Sales.
func needed() []need {
	return []need{
		{Permission{Resource: "Magento_Customer::customer", Tick: "Customers", Needed: "customers"}, "customers/search", "items[id],total_count"},
		{Permission{Resource: "Magento_Sales::actions_view", Tick: "Sales > Operations > Orders > Actions > View", Needed: "orders"}, "orders", "items[entity_id],total_count"},
		{Permission{Resource: "Magento_Backend::store", Tick: "Stores > Settings > All Stores", Needed: "stores"}, "store/websites", ""},
		{Permission{Resource: "Magento_Customer::group", Tick: "Customers > Customer Groups", Needed: "customer groups"}, "customerGroups/search", "items[id],total_count"},
		{Permission{Resource: "Magento_Sales::sales_invoice", Tick: "Sales > Operations > Invoices", Needed: "invoices", Optional: true}, "invoices", "items[entity_id],total_count"},
		{Permission{Resource: "Magento_Sales::shipment", Tick: "Sales > Operations > Shipments", Needed: "shipments", Optional: true}, "shipments", "items[entity_id],total_count"},
		{Permission{Resource: "Magento_Sales::sales_creditmemo", Tick: "Sales > Operations > Credit Memos", Needed: "credit memos", Optional: true}, "creditmemos", "items[entity_id],total_count"},
	}
}

// Permissions tries each needed resource once, with a call that costs the shop next
// to nothing. The error is of a call that found out nothing at all: a sign-in that
// failed, no answer, or a shop that refuses every resource, which then is about the
// credentials themselves.
func (c *Client) Permissions(ctx context.Context) ([]Permission, error) {
	var all []Permission
	refused := 0
	for _, n := range needed() {
		query := ""
		if n.fields != "" {
			query = criteria{size: 1, fields: n.fields}.encode()
		}
		p := n.Permission
		p.Err = c.read(ctx, n.route, "/"+n.route, query, func(_ http.Header, body io.Reader) error {
			_, err := io.Copy(io.Discard, body)
			return err
		})
		e, typed := errors.AsType[*Error](p.Err)
		switch {
		case p.Err == nil:
		case !typed || e.Status == 0 || strings.HasPrefix(e.Route, http.MethodPost):
			return nil, p.Err
		case e.Status == http.StatusUnauthorized:
			refused++
			if named := e.Parameters["resources"]; named != "" {
				p.Resource = named
			}
		}
		all = append(all, p)
	}
	if refused == len(all) {
		return all, all[0].Err
	}
	// One that was refused before the shop took us at all now is known to lack a permission.
	for _, p := range all {
		if e, ok := errors.AsType[*Error](p.Err); ok && p.Refused() {
			c.auth.explain(e)
		}
	}
	return all, nil
}

// Version returns what the shop says of its version at /magento_version, such as
// "Magento/2.4 (Community)": edition and minor version, never the patch. It is empty
// where a shop does not tell, as many do not. The call needs no credentials.
func (c *Client) Version(ctx context.Context) (string, error) {
	const route = "GET magento_version"
	resp, err := c.newSessionOver(c.cfg.Transport).send(ctx, http.MethodGet, c.Address()+"/magento_version", "", nil)
	if err != nil {
		return "", transportError(ctx, route, err)
	}
	defer finish(resp)
	if resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests {
		return "", c.refusal(route, resp)
	}
	body, err := content(resp)
	if err != nil {
		return "", bodyError(ctx, route, resp, err)
	}
	text, err := io.ReadAll(io.LimitReader(body, 200))
	if err != nil {
		return "", bodyError(ctx, route, resp, err)
	}
	version := strings.TrimSpace(string(text))
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(version, "Magento/") || strings.ContainsAny(version, "<\n") {
		return "", nil
	}
	return version, nil
}
