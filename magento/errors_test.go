package magento_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

// maintenance is the start of what a shop in maintenance answers.
const maintenance = "<!doctype html>\n<html><head><title>Error 503: Service Unavailable</title></head><body></body></html>"

func TestPromise20_ErrorShapes(t *testing.T) {
	t.Parallel()
	const html = "text/html; charset=UTF-8"
	for name, tc := range map[string]struct {
		status  int
		body    string
		headers []string
		class   fault.Class
		shape   magento.Shape
		message string
		says    []string
	}{
		"placeholders by name": {
			status: 400, body: `{"message":"No such \"%fieldName\" as %field","parameters":{"field":"f","fieldName":"n"}}`,
			class: fault.Configuration, shape: magento.ShapeJSON, message: `No such "%fieldName" as %field`, says: []string{`No such "n" as f`},
		},
		"placeholders by place": {
			status: 400, body: `{"message":"The \"%1\" attribute name is invalid. Reset the name and try again.","parameters":["nosuchfield"]}`,
			class: fault.Configuration, shape: magento.ShapeJSON, message: `The "%1" attribute name is invalid. Reset the name and try again.`, says: []string{`The "nosuchfield" attribute`},
		},
		"several errors": {
			status: 400, body: `{"message":"One or more input exceptions have occurred.","errors":[{"message":"\"%fieldName\" is required.","parameters":{"fieldName":"a"}},{"message":"\"%fieldName\" is required.","parameters":{"fieldName":"b"}}]}`,
			class: fault.Configuration, shape: magento.ShapeJSON, message: "One or more input exceptions have occurred.", says: []string{`"a" is required. "b" is required`},
		},
		"php fatal": {
			status: 500, body: `{"messages":{"error":[{"code":500,"message":"Server internal error. See details in report api/1441629717990"}]}}`,
			class: fault.Retry, shape: magento.ShapeJSON, message: "Server internal error. See details in report api/1441629717990",
		},
		"missing permission": {
			status: 401, body: `{"message":"The consumer isn't authorized to access %resources.","parameters":{"resources":"Magento_Customer::customer"}}`,
			class: fault.Credentials, shape: magento.ShapeJSON, message: "The consumer isn't authorized to access %resources.",
			says: []string{"Magento_Customer::customer", "oauth/consumer/enable_integration_as_bearer"},
		},
		"no route": {
			status: 404, body: `{"message":"Request does not match any route."}`,
			class: fault.Configuration, shape: magento.ShapeJSON, message: "Request does not match any route.", says: []string{"SYNCD_MAGENTO_BASE_URL"},
		},
		"unknown 404": {
			status: 404, body: `{"message":"Gone fishing"}`, class: fault.Retry, shape: magento.ShapeJSON, message: "Gone fishing",
		},
		"wrong address": {
			status: 404, body: "<html><title>Not Found</title></html>", headers: []string{"Content-Type", html},
			class: fault.Configuration, shape: magento.ShapeHTML, says: []string{"is SYNCD_MAGENTO_BASE_URL the shop's address?"},
		},
		"html with 200": {
			status: 200, body: "<!DOCTYPE html><title>Welcome</title>", headers: []string{"Content-Type", html},
			class: fault.Retry, shape: magento.ShapeHTML, says: []string{"HTML where JSON is due", "SYNCD_MAGENTO_BASE_URL"},
		},
		"html called json": {
			status: 200, body: "<br />\n<b>Warning</b>: foo in bar.php", class: fault.Retry, shape: magento.ShapeHTML, says: []string{"display_errors"},
		},
		"maintenance": {
			status: 503, body: maintenance, headers: []string{"Content-Type", html},
			class: fault.Retry, shape: magento.ShapeHTML, says: []string{"503", "maintenance"},
		},
		"database down": {
			status: 500, body: maintenance, headers: []string{"Content-Type", "text/plain;charset=UTF-8"},
			class: fault.Retry, shape: magento.ShapeHTML,
		},
		"text": {
			status: 500, body: "no upstream", headers: []string{"Content-Type", "text/plain"},
			class: fault.Retry, shape: magento.ShapeText, says: []string{"plain text"},
		},
		"xml": {
			status: 401, body: `<?xml version="1.0"?><response><message>The consumer isn't authorized to access %resources.</message><parameters><resources>Magento_Sales::all</resources></parameters></response>`,
			headers: []string{"Content-Type", "application/xml; charset=utf-8"},
			class:   fault.Credentials, shape: magento.ShapeXML, message: "The consumer isn't authorized to access %resources.", says: []string{"Magento_Sales::all"},
		},
		"empty with 200":   {status: 200, class: fault.Retry, shape: magento.ShapeEmpty, says: []string{"empty answer"}},
		"empty with 502":   {status: 502, headers: []string{"Content-Type", ""}, class: fault.Retry, shape: magento.ShapeEmpty},
		"cut refusal":      {status: 500, body: `{"message":"Internal Err`, class: fault.Retry, shape: magento.ShapeCut},
		"cut page":         {status: 200, body: `{"total_count":`, class: fault.Retry, shape: magento.ShapeCut},
		"number with 200":  {status: 200, body: `12`, class: fault.Retry, shape: magento.ShapeJSON},
		"too many":         {status: 429, body: `{"message":"Too Many Requests"}`, class: fault.Retry, shape: magento.ShapeJSON, message: "Too Many Requests"},
		"forbidden":        {status: 403, body: "<html></html>", headers: []string{"Content-Type", html}, class: fault.Configuration, shape: magento.ShapeHTML, says: []string{"firewall"}},
		"redirect":         {status: 301, body: "x", headers: []string{"Content-Type", html, "Location", "https://www.shop.example/rest?x=1"}, class: fault.Configuration, shape: magento.ShapeHTML, says: []string{"https://www.shop.example:"}},
		"url too long":     {status: 414, body: "<html></html>", headers: []string{"Content-Type", html}, class: fault.Configuration, shape: magento.ShapeHTML, says: []string{"8 KiB"}},
		"wrong method":     {status: 405, headers: []string{"Content-Type", "application/json"}, class: fault.Configuration, shape: magento.ShapeEmpty},
		"no content":       {status: 204, class: fault.Retry, shape: magento.ShapeEmpty},
		"list as 200":      {status: 200, body: `[]`, class: fault.Retry, shape: magento.ShapeJSON},
		"unknown 4xx text": {status: 418, body: "teapot", headers: []string{"Content-Type", "text/plain"}, class: fault.Retry, shape: magento.ShapeText},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client(t, always(tc.status, tc.body, tc.headers...)).Customer(t.Context(), 3, nil)
			wantClass(t, err, tc.class)
			e := typed(t, err)
			if e.Shape != tc.shape || e.Message != tc.message || e.Status != tc.status {
				t.Errorf("shape %q, message %q, status %d; want %q, %q, %d", e.Shape, e.Message, e.Status, tc.shape, tc.message, tc.status)
			}
			if e.Route != "GET customers/{id}" {
				t.Errorf("route %q", e.Route)
			}
			wantText(t, err, tc.says...)
			if errors.Is(err, magento.ErrNotFound) {
				t.Error("it counts as a missing record")
			}
		})
	}
}

func TestErrorKeepsSecretsAndPeopleOut(t *testing.T) {
	t.Parallel()
	const secret = "tok-3n-s3cr3t"
	shop := roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") != "Bearer "+secret {
			t.Errorf("Authorization %q", r.Header.Get("Authorization"))
		}
		return answer(r, 400, `{"message":"A customer with %value exists for jan@example.test.","parameters":{"value":"piet+1@example.test"}}`), nil
	})
	c := client(t, shop, func(cfg *magento.Config) { cfg.AccessToken = secret })
	_, err := walk(t.Context(), c, magento.Query{})
	e := typed(t, err)
	if diff := cmp.Diff(map[string]string{"value": "piet+1@example.test"}, e.Parameters); diff != "" {
		t.Error(diff)
	}
	for _, hidden := range []string{secret, "jan@", "piet", "searchCriteria", "?"} {
		if strings.Contains(err.Error(), hidden) {
			t.Errorf("the error holds %q: %v", hidden, err)
		}
	}

	down := roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	_, err = walk(t.Context(), client(t, down), magento.Query{})
	wantClass(t, err, fault.Retry)
	if _, leaks := errors.AsType[*url.Error](err); leaks || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v: want the transport's own without its URL", err)
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		header []string
		want   bool
	}{
		"the shop's own":  {404, `{"message":"No such entity with %fieldName = %fieldValue","parameters":{"fieldName":"customerId","fieldValue":7}}`, nil, true},
		"translated":      {404, `{"message":"Keine Entität mit %fieldName = %fieldValue","parameters":{"fieldName":"customerId","fieldValue":7}}`, nil, true},
		"no route":        {404, `{"message":"Request does not match any route."}`, nil, false},
		"a proxy's":       {404, `<html><title>404 Not Found</title></html>`, []string{"Content-Type", "text/html"}, false},
		"no body":         {404, ``, nil, false},
		"of another code": {400, `{"message":"No such entity."}`, nil, false},
		"cut":             {404, `{"message":"No such entity with`, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client(t, always(tc.status, tc.body, tc.header...)).Customer(t.Context(), 7, nil)
			if got := errors.Is(err, magento.ErrNotFound); got != tc.want {
				t.Errorf("errors.Is(%v, ErrNotFound) = %v, want %v", err, got, tc.want)
			}
			if tc.want {
				wantClass(t, err, fault.Record)
			}
		})
	}
}
