package copernica_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

// An account is connected from a terminal: the return page listens on this machine, for
// as long as the attempt waits.
func ExampleAttempt_Page() {
	account := httptest.NewServer(copernicatest.New(copernicatest.Config{}).Handler())
	defer account.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	oauth, err := copernica.NewOAuth(copernica.OAuthConfig{
		ClientKey: copernicatest.ClientKey, ClientSecret: copernicatest.ClientSecret,
		RedirectURL:  "http://" + listener.Addr().String() + "/copernica",
		AuthorizeURL: account.URL + "/en/authorize", APIURL: account.URL,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	attempt := oauth.Begin()
	server := &http.Server{Handler: attempt.Page(), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()

	// The user opens the address in a browser and gives access.
	go func() {
		resp, err := http.Get(attempt.URL())
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}()

	token, err := attempt.Wait(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := copernica.New(copernica.Config{AccessToken: token, Connected: true, APIURL: account.URL, AuthURL: account.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	identity, err := client.Identity(ctx)
	fmt.Println(identity.Name, err)
	// Output: Emulator <nil>
}
