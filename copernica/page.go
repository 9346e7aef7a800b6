package copernica

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

// exchangeTime is the longest that the return page waits for the exchange.
const exchangeTime = 2 * time.Minute

// Page returns the handler of the return page: it accepts the user's return, exchanges
// the code, hands the result to [Attempt.Wait], and tells the user that the window can
// be closed. It answers GET of exactly the host and path of OAuthConfig.RedirectURL and
// nothing else, shows nothing of what it was sent, and succeeds once. It binds no
// address: the caller serves it, and stops serving when Wait returns.
func (a *Attempt) Page() http.Handler {
	at, err := url.Parse(a.oauth.redirect)
	if err != nil {
		at = &url.URL{} // NewOAuth has checked it
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		switch {
		case r.Host != at.Host || r.URL.EscapedPath() != at.EscapedPath():
			showPage(w, http.StatusNotFound, "There is nothing here.")
			return
		case r.Method != http.MethodGet:
			h.Set("Allow", http.MethodGet)
			showPage(w, http.StatusMethodNotAllowed, "There is nothing here.")
			return
		}
		status, text := a.land(r)
		showPage(w, status, text)
	})
}

// land takes one return in and says what the user sees of it.
func (a *Attempt) land(r *http.Request) (status int, text string) {
	log := a.oauth.log
	code, err := a.Accept(r.URL.Query())
	if errors.Is(err, ErrForeignReturn) || errors.Is(err, ErrAttemptOver) {
		log.WarnContext(r.Context(), "a return from copernica was not accepted", "error", err)
		return http.StatusBadRequest, "syncd does not accept this return: it belongs to another attempt, or came twice, or too late. The terminal says how to go on."
	}
	if err != nil {
		a.outcome <- outcome{err: err}
		return http.StatusOK, "syncd was given no access. You can close this window; the terminal says how to go on."
	}
	// The browser may leave; the code is spent all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), exchangeTime)
	defer cancel()
	token, err := a.oauth.Exchange(ctx, code)
	a.outcome <- outcome{token, err}
	if err != nil {
		return http.StatusBadGateway, "Copernica did not give syncd its token. You can close this window; the terminal says how to go on."
	}
	return http.StatusOK, "syncd is connected to your Copernica account. You can close this window."
}

// showPage writes one sentence as HTML. Its text is ours and needs no escaping.
func showPage(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>syncd</title></head><body><p>"+text+"</p></body></html>\n")
}
