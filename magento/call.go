package magento

import (
	"context"
	"errors"
	"io"
	"net/http"
)

// get makes one authorised GET and hands header and JSON body of its 200 to read.
func (c *Client) get(ctx context.Context, s *session, route, path, query string, read func(http.Header, io.Reader) error) error {
	return c.call(ctx, s, http.MethodGet, route, path, query, nil, read)
}

// call makes one authorised call, with a JSON body unless that is nil, and hands header
// and JSON body of its 200 to read. A refused token or signature is renewed once. Errors
// of read count as a broken body unless they are typed already.
func (c *Client) call(
	ctx context.Context, s *session, method, route, path, query string, send any, read func(http.Header, io.Reader) error,
) error {
	route = method + " " + route
	address := c.base + path
	if query != "" {
		address += "?" + query
	}
	token, err := c.auth.current(ctx, c, s)
	if err != nil {
		return err
	}
	for renewed := false; ; renewed = true {
		resp, err := s.send(ctx, method, address, token, send)
		if err != nil {
			return transportError(ctx, route, err)
		}
		if failure := c.refusal(route, resp, token); failure != nil {
			finish(resp)
			if failure.Status == http.StatusUnauthorized && !renewed {
				better, ok, err := c.auth.replace(ctx, c, s, token, failure)
				if err != nil {
					return err
				}
				if ok {
					token = better
					continue
				}
			}
			c.auth.explain(failure)
			return failure
		}
		c.auth.accepted(ctx, token, route)
		return c.consume(ctx, route, resp, read)
	}
}

func (c *Client) consume(ctx context.Context, route string, resp *http.Response, read func(http.Header, io.Reader) error) error {
	defer finish(resp)
	body, err := content(resp)
	if err == nil {
		err = read(resp.Header, body)
	}
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.Route, e.Status = route, resp.StatusCode
		return e
	}
	return bodyError(ctx, route, resp, err)
}

// read makes a single read on a lent session.
func (c *Client) read(ctx context.Context, route, path, query string, read func(http.Header, io.Reader) error) error {
	s, back, err := c.single(ctx)
	if err != nil {
		return err
	}
	err = c.get(ctx, s, route, path, query, read)
	back(err)
	return err
}
