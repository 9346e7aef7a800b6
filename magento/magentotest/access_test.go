package magentotest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
)

// TestSignIn shows the token's life, the lock after six failures and two factors, all
// on the injected clock.
func TestSignIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := magentotest.New(magentotest.Config{Customers: 5})
		const path = "/rest/all/V1/integration/admin/token"
		signIn := func(password string) (string, int) {
			var answer any
			status := send(t, s, http.Header{}, "POST", path, fmt.Sprintf(`{"username":"admin","password":%q}`, password), &answer)
			token, _ := answer.(string)
			return token, status
		}
		works := func(token string) int {
			return send(t, s, http.Header{"Authorization": {"bearer " + token}}, "GET", "/rest/all/V1/store/websites", "", nil)
		}

		token, _ := signIn(magentotest.Password)
		var claims struct{ Iat, Exp int64 }
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Exp != time.Now().Add(time.Hour).Unix() {
			t.Errorf("claims %s", payload)
		}
		if got := works(token); got != 200 {
			t.Errorf("a new token answers %d", got)
		}
		time.Sleep(time.Hour)
		if got := works(token); got != 401 {
			t.Errorf("an expired token answers %d", got)
		}
		token, _ = signIn(magentotest.Password)
		s.RevokeTokens()
		if got := works(token); got != 401 {
			t.Errorf("a revoked token answers %d", got)
		}

		for range 6 {
			if _, status := signIn("wrong"); status != 401 {
				t.Errorf("a wrong password answers %d", status)
			}
		}
		time.Sleep(29 * time.Minute)
		if _, status := signIn(magentotest.Password); status != 401 {
			t.Errorf("a locked account answers %d", status)
		}
		time.Sleep(time.Minute)
		if _, status := signIn(magentotest.Password); status != 200 {
			t.Errorf("after the lock %d", status)
		}

		s.Switch(func(sw *magentotest.Switches) { sw.TwoFactor = true })
		if _, status := signIn(magentotest.Password); status != 400 {
			t.Errorf("with two factors %d", status)
		}
		s.Switch(func(sw *magentotest.Switches) { sw.BearerOff = true })
		if got := works(magentotest.AccessToken); got != 401 {
			t.Errorf("the integration's token answers %d although bearer is off", got)
		}
		s.Switch(func(sw *magentotest.Switches) { *sw = magentotest.Switches{Denied: []string{"Magento_Backend::store"}} })
		if got := works(magentotest.AccessToken); got != 401 {
			t.Errorf("a caller without permission gets %d", got)
		}
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	s := shop(10)
	header := http.Header{"Authorization": {"Bearer " + magentotest.AccessToken}}
	for range 3 {
		send(t, s, header, "GET", "/rest/V1/customers/search?searchCriteria[pageSize]=1", "", nil)
		send(t, s, header, "GET", "/rest/V1/store/websites", "", nil)
	}
	if got := s.Sessions(); got != 3 {
		t.Errorf("three calls without a cookie left %d sessions", got)
	}
	for _, tt := range []struct {
		cookie string
		want   int
	}{{"emulator000000000000000002", 3}, {"forged", 4}} {
		header.Set("Cookie", "PHPSESSID="+tt.cookie)
		send(t, s, header, "GET", "/rest/V1/customers/search?searchCriteria[pageSize]=1", "", nil)
		if got := s.Sessions(); got != tt.want {
			t.Errorf("with cookie %s there are %d sessions, want %d", tt.cookie, got, tt.want)
		}
	}
}
