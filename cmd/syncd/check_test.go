package main

import (
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state/sqlite"
)

// checked is what `syncd check --json` printed of one check.
type checked struct{ Group, Name, Status, Text, Fix string }

// check runs the command and returns the lines that are neither ok nor skipped.
func (s *stage) check(code int) []checked {
	s.t.Helper()
	began := time.Now()
	out := s.run("check", "--json")
	if took := time.Since(began); took > 30*time.Second {
		s.t.Errorf("the checks took %s", took)
	}
	if out.code != code {
		s.t.Fatalf("exit code %d, want %d\n%s%s", out.code, code, out.stdout, out.stderr)
	}
	var report struct {
		OK     bool
		Checks []checked
	}
	if err := json.Unmarshal([]byte(out.stdout), &report); err != nil {
		s.t.Fatalf("%v:\n%s", err, out.stdout)
	}
	if report.OK != (code == exitDone) {
		s.t.Errorf("ok is %v", report.OK)
	}
	return slices.DeleteFunc(report.Checks, func(c checked) bool { return c.Status == "ok" || c.Status == "skipped" })
}

// finds expects exactly one line, of that group, name and status, with words.
func (s *stage) finds(code int, what string, words ...string) {
	s.t.Helper()
	found := s.check(code)
	if len(found) != 1 {
		s.t.Fatalf("%d findings, want 1: %+v", len(found), found)
	}
	c := found[0]
	if got := c.Group + "/" + c.Name + " " + c.Status; got != what {
		s.t.Errorf("%s, want %s: %s", got, what, c.Text)
	}
	for _, word := range words {
		if line := c.Text + ": " + c.Fix; !strings.Contains(line, word) {
			s.t.Errorf("%q lacks %q", line, word)
		}
	}
}

// TestCheckHealthy holds for a pair before and after its first run, and that a check
// changes neither peer nor the checkpoint.
func TestCheckHealthy(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if found := s.check(exitDone); len(found) != 0 {
		t.Errorf("before the first run: %+v", found)
	}
	if _, err := os.Stat(s.statePath()); !os.IsNotExist(err) {
		t.Errorf("the check made a state: %v", err)
	}
	s.ends(exitDone, s.run("run"))
	held, checkpoint := s.account.Dump(), s.checkpoint()
	if found := s.check(exitDone); len(found) != 0 {
		t.Errorf("after the first run: %+v", found)
	}
	if string(held) != string(s.account.Dump()) {
		t.Error("the check wrote to Copernica")
	}
	s.unmoved(checkpoint, false)
	for _, one := range s.shop.Log().Recent() {
		if one.Method != http.MethodGet {
			t.Errorf("the shop was sent %s %s", one.Method, one.Path)
		}
	}
}

// TestCheckFinds spoils one thing at a time: whatever it is, it is the one line that
// fails, and the command ends with 3.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*stage)
		ran   bool // a first run went well
		what  string
		says  []string
	}{
		"the shop is down": {
			spoil: set("MAGENTO_BASE_URL", nowhere), what: "shop/address failure", says: []string{"connection refused", "SYNCD_MAGENTO_BASE_URL"},
		},
		"the shop is elsewhere": {
			spoil: func(s *stage) { s.shopFront.show(page(http.StatusNotFound)) }, what: "shop/sign-in failure", says: []string{"404", "SYNCD_MAGENTO_BASE_URL"},
		},
		"a wrong token": {
			spoil: set("MAGENTO_ACCESS_TOKEN", "hunter2-token"), what: "shop/sign-in failure", says: []string{"401", "SYNCD_MAGENTO_ACCESS_TOKEN"},
		},
		"a missing permission": {
			spoil: func(s *stage) {
				s.shop.Switch(func(sw *magentotest.Switches) { sw.Denied = []string{"Magento_Customer::group"} })
			},
			what: "shop/may read customer groups failure", says: []string{"Magento_Customer::group", "Customer Groups"},
		},
		"maintenance": {
			spoil: func(s *stage) {
				s.shop.Faults().Add(emulator.Fault{Kind: emulator.HTML, Status: http.StatusServiceUnavailable})
			},
			what: "shop/address failure", says: []string{"503", "maintenance"},
		},
		"the shop's clock": {
			spoil: func(s *stage) { s.shopAhead.Store(int64(5 * time.Minute)) }, what: "shop/clock failure", says: []string{"ahead", "NTP"},
		},
		"another shop": {
			ran: true, spoil: func(s *stage) {
				store, err := sqlite.Open(s.t.Context(), sqlite.Config{Path: s.statePath()})
				s.must(err)
				defer store.Close()
				s.must((&app{now: time.Now}).sameShop(store, "https://shop.example.com", true)(s.t.Context()))
			},
			what: "shop/same shop failure", says: []string{"SYNCD_DATABASE_URL"},
		},
		"no Copernica token": {
			spoil: set("COPERNICA_ACCESS_TOKEN", ""), what: "copernica/SYNCD_COPERNICA_ACCESS_TOKEN failure", says: []string{"is not set"},
		},
		"the Copernica token was revoked": {
			spoil: func(s *stage) { s.account.Revoke() }, what: "copernica/access token failure", says: []string{"SYNCD_COPERNICA_ACCESS_TOKEN"},
		},
		"a wrong database": {
			spoil: set("COPERNICA_DATABASE", "Magneto"), what: "copernica/database failure", says: []string{"but Magento", "SYNCD_COPERNICA_DATABASE"},
		},
		"a field is missing": {
			spoil: dropField("lastname"), what: "copernica/fields failure", says: []string{"lastname", "syncd provision"},
		},
		"a wrong encryption key": {
			ran: true, spoil: set("ENCRYPTION_KEY", seal.NewKey()), what: "state/encryption key failure", says: []string{"SYNCD_ENCRYPTION_KEY"},
		},
		"an encryption key that is none": {
			spoil: set("ENCRYPTION_KEY", "hunter2"), what: "state/place failure", says: []string{"SYNCD_ENCRYPTION_KEY"},
		},
		"the state of another shop": {
			ran: true, spoil: set("SHOP", "other"), what: "state/shop code failure", says: []string{"SYNCD_SHOP"},
		},
		"no room for the state": {
			spoil: func(s *stage) {
				file := filepath.Join(s.environ["HOME"], "file")
				s.must(os.WriteFile(file, nil, 0o600))
				s.environ["SYNCD_DATABASE_URL"] = "sqlite://" + file + "/below/state.db"
			},
			what: "state/place failure", says: []string{"SYNCD_DATABASE_URL leads to ", "cannot keep the state"},
		},
		"a wrong database after a run": {
			ran: true, spoil: set("COPERNICA_DATABASE", "Magneto"), what: "copernica/database failure", says: []string{"set SYNCD_COPERNICA_DATABASE back to Magento", "belongs to Copernica database"},
		},
		"a file that is no state": {
			spoil: func(s *stage) {
				s.must(os.MkdirAll(filepath.Dir(s.statePath()), 0o700))
				s.must(os.WriteFile(s.statePath(), []byte("hello, world, this is a text"), 0o600))
			},
			what: "state/place failure", says: []string{"no state"},
		},
		"a misspelt variable": {
			spoil: set("MAGENTO_BASEURL", "x"), what: "settings/SYNCD_MAGENTO_BASEURL failure", says: []string{"did you mean SYNCD_MAGENTO_BASE_URL?"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			if c.ran {
				s.ends(exitDone, s.run("run"))
			}
			c.spoil(s)
			s.finds(exitPeer, c.what, c.says...)
		})
	}
}

// TestCheckOfAStateWithAKeyFile names the variable that the key came from, and says of a
// state that it cannot open no more than that.
func TestCheckOfAStateWithAKeyFile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := filepath.Join(t.TempDir(), "key")
	s.must(os.WriteFile(file, []byte(seal.NewKey()), 0o600))
	s.environ["SYNCD_ENCRYPTION_KEY_FILE"] = file
	s.ends(exitDone, s.run("run"))
	s.run("check").says(t, "opens the state (SYNCD_ENCRYPTION_KEY_FILE)")
	s.must(os.WriteFile(file, []byte(seal.NewKey()), 0o600))
	s.run("check").says(t, "not tried: the state could not be opened")
}

// TestCheckWarns holds that what only slows syncd down fails nothing.
func TestCheckWarns(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.environ["SYNCD_SCHEDULE_CUSTOMERS"] = "CRON_TZ=UTC 0 3 * * *"
	s.finds(exitDone, "settings/freshness warning", "SYNCD_MAX_LAG")
	s.environ["SYNCD_SCHEDULE_CUSTOMERS"], s.environ["SYNCD_TIME_ZONE"] = "", "UTC"
	s.finds(exitDone, "settings/time zone warning", "SYNCD_TIME_ZONE=Europe/Amsterdam")
}

// TestCheckCertificate names what is wrong with a certificate, and the setting that
// trusts its authority; with that it passes.
func TestCheckCertificate(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	server := httptest.NewTLSServer(s.shop.Handler())
	t.Cleanup(server.Close)
	s.environ["SYNCD_MAGENTO_BASE_URL"] = server.URL
	s.finds(exitPeer, "shop/address failure", "unknown authority", "SYNCD_MAGENTO_CA_BUNDLE")

	account := httptest.NewTLSServer(s.account.Handler())
	t.Cleanup(account.Close)
	s.environ["SYNCD_MAGENTO_BASE_URL"] = s.shopFront.url
	s.environ["SYNCD_COPERNICA_API_URL"], s.environ["SYNCD_COPERNICA_AUTH_URL"] = account.URL+"/v4", account.URL
	s.finds(exitPeer, "copernica/address failure", "unknown authority", "SYNCD_COPERNICA_CA_BUNDLE")
	s.environ["SYNCD_COPERNICA_CA_BUNDLE"] = bundle(t, account)
	if found := s.check(exitDone); len(found) != 0 {
		t.Errorf("with the bundle: %+v", found)
	}
}

// TestCheckOfEveryWayIn signs in to the shop in each way that the settings know.
func TestCheckOfEveryWayIn(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.shop.Switch(func(sw *magentotest.Switches) { sw.BearerOff = true })
	s.finds(exitPeer, "shop/sign-in failure", "enable_integration_as_bearer")
	s.environ["SYNCD_MAGENTO_CONSUMER_KEY"] = magentotest.ConsumerKey
	s.environ["SYNCD_MAGENTO_CONSUMER_SECRET"] = magentotest.ConsumerSecret
	s.environ["SYNCD_MAGENTO_ACCESS_TOKEN_SECRET"] = magentotest.AccessTokenSecret
	if found := s.check(exitDone); len(found) != 0 {
		t.Errorf("signed: %+v", found)
	}
	for _, name := range []string{"CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN_SECRET", "ACCESS_TOKEN"} {
		delete(s.environ, "SYNCD_MAGENTO_"+name)
	}
	s.environ["SYNCD_MAGENTO_USERNAME"], s.environ["SYNCD_MAGENTO_PASSWORD"] = magentotest.Username, magentotest.Password
	if found := s.check(exitDone); len(found) != 0 {
		t.Errorf("with a password: %+v", found)
	}
	s.shop.Switch(func(sw *magentotest.Switches) { sw.TwoFactor = true })
	s.finds(exitPeer, "shop/sign-in failure", "two-factor")
	const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	s.shop.Switch(func(sw *magentotest.Switches) { sw.TOTPSecret = secret })
	s.environ["SYNCD_MAGENTO_TOTP_SECRET"] = secret
	if found := s.check(exitDone); len(found) != 0 {
		t.Errorf("with a second factor: %+v", found)
	}
}

// TestCheckOfPeersThatHang is over within its bound though nobody ever answers.
func TestCheckOfPeersThatHang(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	s.environ["SYNCD_MAGENTO_BASE_URL"] = "http://" + silent.Addr().String()
	s.environ["SYNCD_COPERNICA_API_URL"] = "http://" + silent.Addr().String() + "/v4"
	s.environ["SYNCD_COPERNICA_AUTH_URL"] = "http://" + silent.Addr().String()
	found := s.check(exitPeer)
	if len(found) != 2 || found[0].Name != "address" || found[1].Name != "address" || !strings.Contains(found[0].Text, "in time") {
		t.Errorf("%+v", found)
	}
}

// TestCheckRefusedPassword tries a wrong password once, whatever else is checked.
func TestCheckRefusedPassword(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.ends(exitDone, s.run("run"))
	s.shop.Log().Reset()
	s.environ["SYNCD_MAGENTO_ACCESS_TOKEN"] = ""
	s.environ["SYNCD_MAGENTO_USERNAME"], s.environ["SYNCD_MAGENTO_PASSWORD"] = magentotest.Username, "hunter2-password"
	s.finds(exitPeer, "shop/sign-in failure", "SYNCD_MAGENTO_PASSWORD")
	s.finds(exitPeer, "shop/sign-in failure", "not tried again before")
	if n := s.shop.Log().Counts()["POST /rest/all/V1/integration/admin/token"]; n != 1 {
		t.Errorf("the refused password was tried %d times", n)
	}
}

// TestCheckEmptyAccount is what a newcomer sees first.
func TestCheckEmptyAccount(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	empty := copernicatest.New(copernicatest.Config{Empty: true})
	empty.Revoke()
	empty.Grant(stageToken)
	s.accountFront.show(empty.Handler())
	s.finds(exitPeer, "copernica/database failure", "syncd provision")
	s.ends(exitDone, s.run("provision"))
	if found := s.check(exitDone); len(found) != 0 {
		t.Errorf("after provision: %+v", found)
	}
}

// bundle writes the certificate of a server as a CA bundle.
func bundle(t *testing.T, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
