package copernica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/fault"
)

// guards renames a key field: a filtered write to it touches no row and is not sent.
func (w *conformance) guards() {
	ctx := w.t.Context()
	refusal := func(what string, err error) {
		w.t.Helper()
		if _, ok := errors.AsType[*copernica.GuardError](err); !ok || copernica.Outcome(err) != copernica.NotSent {
			w.t.Errorf("%s: %v", what, err)
		}
		w.errs = append(w.errs, err)
	}
	_, err := w.d.Upsert(ctx, w.key, "shop-c1", map[string]string{"customer_id": "shop-c1", "nofield": "x"})
	refusal("a field that is not there", err)
	_, err = w.d.Upsert(ctx, w.key, "", map[string]string{"customer_id": ""})
	refusal("an empty key", err)

	w.works("rename", w.a.RenameField(copernicatest.DatabaseName, "customer_id", "customer_no"))
	before := w.a.Dump()
	time.Sleep(61 * time.Second)
	w.wire.sent = nil
	_, err = w.d.Upsert(ctx, w.key, "shop-c9", map[string]string{"customer_id": "shop-c9", "email": "all@example.org"})
	refusal("the key field is renamed", err)
	_, err = w.d.Find(ctx, w.key, "shop-c1")
	refusal("the key field is renamed", err)
	_, _, err = w.d.KeysAbove(ctx, w.key, "shop-c", 1)
	refusal("the key field is renamed", err)
	if !bytes.Equal(before, w.a.Dump()) {
		w.t.Error("rows have changed")
	}
	for _, sent := range w.wire.sent {
		if !strings.HasPrefix(sent, "GET ") || !strings.HasSuffix(sent, "/fields") {
			w.t.Errorf("sent %s", sent)
		}
	}
	w.works("rename back", w.a.RenameField(copernicatest.DatabaseName, "customer_no", "customer_id"))
	time.Sleep(61 * time.Second)
	_, err = w.d.Find(ctx, w.key, "shop-c1")
	w.works("after the name is back", err)
}

func (w *conformance) unknownIDs() {
	ctx := w.t.Context()
	const none = 999_999_999
	_, readProfile := w.d.Profile(ctx, none)
	_, readSub := w.orders.Subprofile(ctx, none)
	_, below := w.orders.Upsert(ctx, none, w.sub, "shop-o1", order("shop-o1"))
	_, listed := w.orders.Below(ctx, none)
	removal := w.d.Remove(ctx, none, false)
	for what, check := range map[string]struct{ err, want error }{
		"read a profile":           {readProfile, copernica.ErrNoProfile},
		"update a profile":         {w.d.Update(ctx, none, map[string]string{"email": "x"}), copernica.ErrNoProfile},
		"remove a profile":         {removal, copernica.ErrNoProfile},
		"read a subprofile":        {readSub, copernica.ErrNoSubprofile},
		"update a subprofile":      {w.orders.Update(ctx, none, order("x")), copernica.ErrNoSubprofile},
		"a subprofile below none":  {below, copernica.ErrNoProfile},
		"the subprofiles of none":  {listed, copernica.ErrNoProfile},
		"a profile of nobody's id": {func() error { _, err := w.d.Profile(ctx, 0); return err }(), copernica.ErrNoProfile},
	} {
		if !errors.Is(check.err, check.want) {
			w.t.Errorf("%s: %v", what, check.err)
		}
		w.errs = append(w.errs, check.err)
	}
	if copernica.Outcome(below) != copernica.Refused {
		w.t.Errorf("a subprofile below none: outcome %s", copernica.Outcome(below))
	}
}

// poison writes what some accounts refuse: as one record, and nothing else is touched.
func (w *conformance) poison() {
	ctx := w.t.Context()
	one := func(step, key string, fields map[string]string) {
		w.t.Helper()
		w.step(step, func() error {
			_, err := w.d.Upsert(ctx, w.key, key, fields)
			if err != nil && (fault.ClassOf(err) != fault.Record || copernica.Outcome(err) != copernica.Refused || w.held()[key] != nil) {
				w.t.Errorf("%v: class %s, outcome %s, held %v", err, fault.ClassOf(err), copernica.Outcome(err), w.held()[key])
			}
			return err
		})
	}
	one(stepDomain, "shop-c4", map[string]string{"customer_id": "shop-c4", "email": "jan@126.com"})
	if held := w.held()["shop-c4"]; held != nil && held["email"] != "jan@126.com" {
		w.t.Errorf("stored %v", held)
	}
	long := strings.Repeat("é", 300)
	one(stepLongText, "shop-c5", map[string]string{"customer_id": "shop-c5", "firstname": long})
	if held := w.held()["shop-c5"]; held != nil {
		want := long
		if w.s.LongText == copernicatest.LongTextCut {
			want = strings.Repeat("é", 250) // the field's length, in characters
		}
		w.same("a long text", want, held["firstname"])
	}
}

// unknownOutcome loses the answer to a write that was worked: the look finds the row.
func (w *conformance) unknownOutcome() {
	ctx := w.t.Context()
	for key, after := range map[string]bool{"shop-c6": true, "shop-c7": false} {
		w.a.Faults().Add(emulator.Fault{Method: http.MethodPut, PathContains: "/profiles", Kind: emulator.HTML, Status: 503, After: after, Times: 1})
		_, err := w.d.Upsert(ctx, w.key, key, map[string]string{"customer_id": key})
		if copernica.Outcome(err) != copernica.Unknown || fault.ClassOf(err) != fault.Retry {
			w.t.Errorf("%s: outcome %s, class %s of %v", key, copernica.Outcome(err), fault.ClassOf(err), err)
		}
		w.errs = append(w.errs, err)
		found, err := w.d.Find(ctx, w.key, key)
		w.works("look", err)
		if (len(found) == 1) != after {
			w.t.Errorf("%s: found %+v", key, found)
		}
	}
	method := http.MethodPut
	if w.version == 1 {
		method = http.MethodPost
	}
	w.a.Faults().Add(emulator.Fault{Method: method, PathContains: "/subprofiles", Kind: emulator.Reset, After: true, Times: 1})
	parent := w.a.Profiles(copernicatest.DatabaseName)[0].ID
	_, err := w.orders.Upsert(ctx, parent, w.sub, "shop-o6", order("shop-o6"))
	if copernica.Outcome(err) != copernica.Unknown || fault.ClassOf(err) != fault.Retry {
		w.t.Errorf("subprofile: outcome %s, class %s of %v", copernica.Outcome(err), fault.ClassOf(err), err)
	}
	_, err = w.orders.Upsert(ctx, parent, w.sub, "shop-o6", order("shop-o6"))
	w.works("again", err)
	if n := stored(w.a)[fmt.Sprint(parent, " shop-o6")]; n != 1 {
		w.t.Errorf("%d subprofiles of one key", n)
	}
}

func (w *conformance) consumption() {
	w.step(stepConsumption, func() error {
		used, err := w.c.Consumption(w.t.Context())
		if err == nil && (used.Calls != int64(w.a.Calls()) || used.From.Day() != 1 || used.Calls < 50) {
			w.t.Errorf("%+v, %d calls were billed", used, w.a.Calls())
		}
		return err
	})
}

// tokens revokes what the client has: it goes on where that is possible, and else says
// so once, waits ten minutes, and works again with the token granted again.
func (w *conformance) tokens() {
	ctx := w.t.Context()
	w.a.RevokeTokens()
	_, err := w.c.Identity(ctx)
	w.works("after the authorization tokens were revoked", err)

	w.a.Revoke()
	time.Sleep(24 * time.Hour) // beyond the life of an authorization token that lives on
	_, err = w.d.Find(ctx, w.key, "shop-c1")
	if fault.ClassOf(err) != fault.Credentials || !strings.Contains(err.Error(), "API access-tokens") {
		w.t.Errorf("revoked: class %s, %v", fault.ClassOf(err), err)
	}
	if rights := w.s.AuthHostFailure == http.StatusForbidden && w.version == 4 || w.s.AuthFailure == http.StatusForbidden && w.version < 4; errors.Is(err, copernica.ErrTokenRevoked) == rights {
		w.t.Errorf("revoked: %v", err)
	}
	w.errs = append(w.errs, err)
	w.wire.sent = nil
	for range 9 {
		time.Sleep(time.Minute)
		_, err = w.c.Identity(ctx)
		if fault.ClassOf(err) != fault.Credentials || copernica.Outcome(err) != copernica.NotSent {
			w.t.Errorf("revoked: %v", err)
		}
	}
	if len(w.wire.sent) != 0 {
		w.t.Errorf("a refused token is tried again: %v", w.wire.sent)
	}
	w.a.Grant(accessToken)
	time.Sleep(time.Minute)
	_, err = w.d.Find(ctx, w.key, "shop-c1")
	w.works("after the token was granted again", err)
}

// connect goes through the consent page as a browser does.
func (w *conformance) connect() {
	w.step(stepConnect, func() error {
		o, err := copernica.NewOAuth(copernica.OAuthConfig{
			Version: w.version, ClientKey: copernicatest.ClientKey, ClientSecret: copernicatest.ClientSecret,
			RedirectURL: "http://127.0.0.1:54321/copernica", Transport: w.wire,
		})
		if err != nil {
			return err
		}
		attempt := o.Begin()
		back, err := consent(w.t.Context(), w.a, attempt.URL())
		if err != nil {
			return err
		}
		code, err := attempt.Accept(back.Query())
		if err != nil {
			return err
		}
		token, err := o.Exchange(w.t.Context(), code)
		if err != nil {
			return err
		}
		if strings.Contains(w.log.String(), token) {
			w.t.Error("the granted token is in the log")
		}
		_, err = w.client(token).Identity(w.t.Context())
		return err
	})
}

// consent opens the consent page and returns where it sends the browser.
func consent(ctx context.Context, a *copernicatest.Account, address string) (*url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := a.Transport().RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		return nil, fmt.Errorf("the consent page answers %d", resp.StatusCode)
	}
	return url.Parse(resp.Header.Get("Location"))
}

// secrets looks for them where they must not be.
func (w *conformance) secrets() {
	if w.wire.loose > 0 {
		w.t.Errorf("%d calls with a token in the wrong place", w.wire.loose)
	}
	texts := []string{w.log.String()}
	for _, err := range w.errs {
		texts = append(texts, fmt.Sprintf("%v %+v %q", err, err, err))
	}
	for _, r := range w.a.Log().Recent() {
		texts = append(texts, r.Path, r.Query)
	}
	for _, text := range texts {
		for _, secret := range []string{accessToken, copernicatest.ClientSecret, "@example.org", "%40example.org"} {
			if strings.Contains(text, secret) {
				w.t.Errorf("%q is shown in %s", secret, text)
			}
		}
	}
}
