package magento_test

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// codeOf has a client sign in at a time and returns the code it sends.
func codeOf(t *testing.T, secret string, at time.Time) (code string) {
	t.Helper()
	c := client(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/V1/tfa/provider/google/authenticate") {
			var in struct{ Username, Password, OTP string }
			body, err := io.ReadAll(r.Body)
			if err != nil || json.Unmarshal(body, &in) != nil || in.Username != magentotest.Username || in.Password != magentotest.Password {
				t.Errorf("sign-in with %s, %v", body, err)
			}
			code = in.OTP
			return answer(r, 200, `"token"`, "Date", at.UTC().Format(http.TimeFormat)), nil
		}
		return answer(r, 200, customer, "Date", at.UTC().Format(http.TimeFormat)), nil
	}), byCodes, func(cfg *magento.Config) {
		cfg.TOTPSecret = secret
		cfg.Now = func() time.Time { return at }
	})
	if err := call(t, c); err != nil {
		t.Fatal(err)
	}
	return code
}

// The test vectors of RFC 6238, appendix B, for SHA-1: the last six of their digits.
func TestCodesOfRFC6238(t *testing.T) {
	t.Parallel()
	secret := base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))
	for at, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := codeOf(t, secret, time.Unix(at, 0)); got != want {
			t.Errorf("at %d the code is %s, want %s", at, got, want)
		}
	}
}

// The key is taken as people copy it from the page with the QR code.
func TestKeyAsThePageShowsIt(t *testing.T) {
	t.Parallel()
	want := codeOf(t, "JBSWY3DPEHPK3PXP", noon)
	for _, shown := range []string{"jbsw y3dp ehpk 3pxp", " JBSWY3DPEHPK3PXP\n", "JBSW-Y3DP-EHPK-3PXP", "jbswy3dpehpk3pxp====", "JBSW\u00a0Y3DP\tEHPK 3PXP"} {
		if got := codeOf(t, shown, noon); got != want {
			t.Errorf("%q gives %s, want %s", shown, got, want)
		}
	}
}

// inBubble runs a shop with two factors and clocks that tests can wait by.
func inBubble(t *testing.T, change func(*magentotest.Config), run func(t *testing.T, s *magentotest.Shop, c *magento.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := magentotest.Config{
			Customers: 3, Now: time.Now,
			Switches: magentotest.Switches{TwoFactor: true, TOTPSecret: magentotest.TOTPSecret, OneTimeCodes: true},
		}
		if change != nil {
			change(&cfg)
		}
		s := magentotest.New(cfg)
		run(t, s, client(t, s.Transport(), byCodes, overHTTP, func(cfg *magento.Config) { cfg.Now = time.Now }))
	})
}

func read(ctx context.Context, c *magento.Client) error {
	_, err := c.Customer(ctx, 1, nil)
	return err
}

// A token that is revoked again and again needs a code each time, and none is sent twice.
func TestNoCodeIsSentTwice(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, s *magentotest.Shop, c *magento.Client) {
		start := time.Now()
		for range 4 {
			if err := read(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			s.RevokeTokens()
		}
		if took := time.Since(start); took <= 60*time.Second || took > 120*time.Second {
			t.Errorf("four codes of 30 seconds took %s", took)
		}
		if n := s.Log().Counts()["POST /rest/all/V1/tfa/provider/google/authenticate"]; n != 4 {
			t.Errorf("%d sign-ins: %v", n, s.Log().Counts())
		}
	})
}

// Codes are of the shop's clock: one that differs is learnt from the first refusal.
func TestCodesByTheShopsClock(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"10 minutes ahead": 10 * time.Minute, "3 hours behind": -3 * time.Hour, "10 seconds ahead": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(cfg *magentotest.Config) {
				cfg.Now = func() time.Time { return time.Now().Add(off) }
			}, func(t *testing.T, s *magentotest.Shop, c *magento.Client) {
				start := time.Now()
				if err := read(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("waited %s for a step that was never sent", took)
				}
				s.RevokeTokens()
				time.Sleep(time.Minute)
				if err := read(t.Context(), c); err != nil {
					t.Error(err)
				}
				if n := s.Log().Counts()["POST /rest/all/V1/tfa/provider/google/authenticate"]; n > 3 {
					t.Errorf("%d sign-ins: the clock was not remembered", n)
				}
			})
		})
	}
}

func TestCodeRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, func(cfg *magentotest.Config) { cfg.Switches.TOTPSecret = "GEZDGNBVGY3TQOJQ" }, func(t *testing.T, s *magentotest.Shop, _ *magento.Client) {
		m := &memory{}
		c := client(t, s.Transport(), byCodes, overHTTP, func(cfg *magento.Config) { cfg.Now, cfg.Refusals = time.Now, m })
		start := time.Now()
		for range 3 {
			err := read(t.Context(), c)
			wantClass(t, err, fault.Credentials)
			wantText(t, err, "Invalid code", "SYNCD_MAGENTO_TOTP_SECRET", "clock")
		}
		if took := time.Since(start); took > 31*time.Second {
			t.Errorf("waited %s for one further code", took)
		}
		if n := s.Log().Total(); n != 2 {
			t.Errorf("%d codes, want one and that of the next step", n)
		}
		if !m.at.IsZero() {
			t.Error("the password, which was right, is noted as refused")
		}

		// What was put right is found without a restart.
		s.Switch(func(sw *magentotest.Switches) { sw.TOTPSecret = magentotest.TOTPSecret })
		time.Sleep(31 * time.Minute)
		if err := read(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
}

func TestWaitForACodeCanBeStopped(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, s *magentotest.Shop, c *magento.Client) {
		if err := read(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		s.RevokeTokens()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := read(ctx, c); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		if err := read(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
}

// A wrong password is noted and never sent again, with a second factor too.
func TestPasswordRefusedBeforeTheCode(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, s *magentotest.Shop, _ *magento.Client) {
		m := &memory{}
		c := client(t, s.Transport(), byCodes, overHTTP, func(cfg *magento.Config) { cfg.Now, cfg.Refusals, cfg.Password = time.Now, m, "wrong" })
		for range 3 {
			err := read(t.Context(), c)
			wantClass(t, err, fault.Credentials)
			wantText(t, err, "SYNCD_MAGENTO_PASSWORD")
		}
		if n := s.Log().Total(); n != 1 || m.at.IsZero() {
			t.Errorf("%d sign-ins, noted %v", n, m.at)
		}
	})
}

func TestShopAsksForAnotherSecondFactor(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set    func(*magento.Config)
		status int
		body   string
		says   []string
	}{
		"no secret":        {byPassword, 400, `{"message":"Please use the 2fa provider-specific endpoints to obtain a token.","parameters":{"active_providers":["google"]}}`, []string{"SYNCD_MAGENTO_TOTP_SECRET", "integration"}},
		"another provider": {byPassword, 400, `{"message":"Please use the 2fa provider-specific endpoints to obtain a token.","parameters":{"active_providers":["duo_security","u2fkey"]}}`, []string{"duo_security, u2fkey", "Google Authenticator only", "integration"}},
		"not set up":       {byCodes, 400, `{"message":"Provider is not allowed."}`, []string{"has no Google Authenticator", "leave out SYNCD_MAGENTO_TOTP_SECRET"}},
		"no such module":   {byCodes, 404, `{"message":"Request does not match any route."}`, []string{"leave out SYNCD_MAGENTO_TOTP_SECRET"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := call(t, client(t, always(tc.status, tc.body), tc.set))
			wantClass(t, err, fault.Credentials)
			wantText(t, err, tc.says...)
			if diff := cmp.Diff(tc.status, typed(t, err).Status); diff != "" {
				t.Error(diff)
			}
		})
	}
}
