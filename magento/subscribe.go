package magento

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

// Unsubscribe takes a customer's newsletter subscription away and looks whether it is
// gone. Who has none is left as they are, without a write.
//
// The write goes through the scope of all store views: in any other, that of a website
// which is not the customer's, the shop answers 200 and changes nothing (recording
// customer-put-subscribe-scope-none-False-1206). It is a merge of this one attribute:
// whatever else is sent could be overwritten or deleted. It moves updated_at, and needs
// the permission Magento_Customer::manage. [ErrNotFound] says that the shop has no such
// customer.
func (c *Client) Unsubscribe(ctx context.Context, id int64) error {
	const route = "customers/{id}"
	path := "/customers/" + strconv.FormatInt(id, 10)
	before, err := c.Customer(ctx, id, []string{"extension_attributes.is_subscribed"})
	if err != nil || !before.Subscribed {
		return err
	}
	s, back, err := c.single(ctx)
	if err != nil {
		return err
	}
	body := map[string]any{"customer": map[string]any{"id": id, "extension_attributes": map[string]any{"is_subscribed": false}}}
	// Taking a subscription away twice is taking it away once.
	err = c.call(httpx.WithPolicy(ctx, httpx.Idempotent), s, http.MethodPut, route, path, "", body, func(_ http.Header, body io.Reader) error {
		_, _, err := document(newFrames(body), '{')
		return err
	})
	back(err)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusBadRequest {
		e.Class = fault.Record // what the shop holds of this customer is not what it takes
	}
	if err != nil {
		return err
	}
	after, err := c.Customer(ctx, id, []string{"extension_attributes.is_subscribed"})
	if err == nil && after.Subscribed {
		err = &Error{
			Class: fault.Record, Status: http.StatusOK, Route: "PUT " + route,
			Filled: fmt.Sprintf("customer %d is still subscribed after it was unsubscribed", id),
			Hint:   "does a module of the shop put the subscription back?",
		}
	}
	return err
}
