package copernicatest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

func TestUpsertRace_BothCreate(t *testing.T) {
	t.Parallel()
	for window, want := range map[time.Duration]int{0: 1, 50 * time.Millisecond: 2} {
		synctest.Test(t, func(t *testing.T) {
			a, c := account(t, copernicatest.Switches{UpsertRace: window})
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					c.do("PUT", "/database/Shop/profiles?create=1&fields[]=customer_id==k", body(m{"customer_id": "k"}))
				})
			}
			wg.Wait()
			if got := len(a.Profiles("Shop")); got != want {
				t.Errorf("window %v: %d profiles, want %d", window, got, want)
			}
		})
	}
}

func TestConcurrentWrites(t *testing.T) {
	t.Parallel()
	a, c := account(t, copernicatest.Switches{})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for n := range 20 {
				key := fmt.Sprintf("k%d", (i+n)%60)
				c.do("PUT", "/database/Shop/profiles?create=1&fields[]=customer_id=="+key, body(m{"customer_id": key, "firstname": fmt.Sprint(i)}))
				c.do("GET", "/database/Shop/profiles?fields[]=customer_id=="+key, "")
			}
		})
	}
	wg.Wait()
	if got := len(a.Profiles("Shop")); got != 60 {
		t.Errorf("%d profiles, want 60", got)
	}
	if a.Calls() != 2000 {
		t.Errorf("%d calls", a.Calls())
	}
}

// TestLatency_WriteAfterTheCallerLeft shows the outcome that makes a write unknown:
// the caller's time ends, the write comes all the same.
func TestLatency_WriteAfterTheCallerLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := copernicatest.New(copernicatest.Config{Latency: time.Second})
		if err := a.AddFields("Magento", copernicatest.Field{Name: "customer_id"}); err != nil {
			t.Fatal(err)
		}
		c := newCaller(t, a)
		start := time.Now()
		c.want(201, "POST", "/database/Magento/profiles", body(m{"customer_id": "k1"}))
		if took := time.Since(start); took != time.Second {
			t.Errorf("the call took %v", took)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "POST", "http://x/v4/database/Magento/profiles", strings.NewReader(body(m{"customer_id": "k2"})))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
		res, err := c.client.Do(req)
		if err == nil {
			_ = res.Body.Close()
			t.Fatal("the call ended well")
		}
		if n := len(a.Profiles("Magento")); n != 1 {
			t.Errorf("%d profiles when the caller leaves", n)
		}
		time.Sleep(time.Second)
		if n := len(a.Profiles("Magento")); n != 2 {
			t.Errorf("%d profiles afterwards", n)
		}
	})
}

// TestOverTCP runs the same handler behind a socket.
func TestOverTCP(t *testing.T) {
	t.Parallel()
	a := copernicatest.New(copernicatest.Config{})
	server := httptest.NewServer(a.Handler())
	t.Cleanup(server.Close)
	res, err := server.Client().PostForm(server.URL, url.Values{"access_token": {copernicatest.AccessToken}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%d %v", res.StatusCode, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), "PUT",
		server.URL+"/v4/database/Magento/profiles?create=1&fields[]=id==1", strings.NewReader(`{"fields":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+string(token))
	res, err = server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if id := res.Header.Get("X-Created"); res.StatusCode != 201 || res.Header.Get("X-Location") != server.URL+"/v4/profile/"+id {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
}
