package doctor_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/doctor"
)

// peerCase is one thing that is wrong with a peer, and what is said of it.
type peerCase struct {
	shopAhead, accountAhead time.Duration

	spoil func(*world)
	want  map[string][]string
	// skipped are results that must be skipped for it.
	skipped []string
}

// page answers everything with HTML.
type page int

func (p page) RoundTrip(r *http.Request) (*http.Response, error) {
	return emulator.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
		w.WriteHeader(int(p))
		_, _ = w.Write([]byte("<html><title>Welcome</title></html>"))
	})).RoundTrip(r)
}

// hanging is a peer that takes the request and never answers.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestPeers spoils one thing at a time.
func TestPeers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]peerCase{
		"healthy": {},

		"the shop answers HTML everywhere": {
			spoil: func(w *world) { w.toShop = page(http.StatusOK) },
			want:  map[string][]string{"shop/sign-in failure": {"HTML", "SYNCD_MAGENTO_BASE_URL"}},
		},
		"the shop is at another path": {
			spoil: func(w *world) { w.toShop = page(http.StatusNotFound) },
			want:  map[string][]string{"shop/sign-in failure": {"404", "SYNCD_MAGENTO_BASE_URL"}},
		},
		"maintenance": {
			spoil: func(w *world) { w.toShop = page(http.StatusServiceUnavailable) },
			want:  map[string][]string{"shop/address failure": {"503", "maintenance"}},
		},
		"a wrong token of the shop": {
			spoil:   func(w *world) { w.shopSettings.AccessToken = "hunter2" },
			want:    map[string][]string{"shop/sign-in failure": {"401", "SYNCD_MAGENTO_ACCESS_TOKEN"}},
			skipped: []string{"shop/stores", "shop/customers", "shop/may read orders"},
		},
		"an integration's token is no bearer": {
			spoil: func(w *world) { w.shop.Switch(func(s *magentotest.Switches) { s.BearerOff = true }) },
			want:  map[string][]string{"shop/sign-in failure": {"enable_integration_as_bearer"}},
		},
		"no permission for customers": {
			spoil: denied("Magento_Customer::customer"),
			want:  map[string][]string{"shop/may read customers failure": {"Magento_Customer::customer is refused", "tick Customers"}},
		},
		"no permission for orders": {
			spoil: denied("Magento_Sales::actions_view"),
			want:  map[string][]string{"shop/may read orders failure": {"Magento_Sales::actions_view is refused"}},
		},
		"no permission for orders, which are off": {
			spoil: func(w *world) { denied("Magento_Sales::actions_view")(w); w.checkedShop.Orders = false },
			want:  map[string][]string{"shop/may read orders warning": {"which orders would need"}},
		},
		"no permission for shipments, which no stream needs": {
			spoil: denied("Magento_Sales::shipment"),
			want: map[string][]string{"shop/may read shipments warning": {
				"Magento_Sales::shipment is refused", "waits for the sweep", "tick Sales > Operations > Shipments",
			}},
		},
		"invoices that fail": {
			spoil: func(w *world) {
				fault := magentotest.InternalError()
				fault.PathContains = "/V1/invoices"
				w.shop.Faults().Add(fault)
			},
			want: map[string][]string{"shop/may read invoices warning": {"Internal Error", "waits for the sweep"}},
		},
		"no permission for credit memos, and no orders": {
			spoil: func(w *world) {
				denied("Magento_Sales::sales_creditmemo")(w)
				w.checkedShop.Orders = false
			},
			skipped: []string{"shop/may read credit memos"},
		},
		"no permission for stores": {
			spoil:   denied("Magento_Backend::store"),
			want:    map[string][]string{"shop/may read stores failure": {"Magento_Backend::store is refused"}},
			skipped: []string{"shop/stores"},
		},
		"two factors": {
			spoil: func(w *world) {
				w.shopSettings.AccessToken = ""
				w.shopSettings.Username, w.shopSettings.Password = magentotest.Username, magentotest.Password
				w.shop.Switch(func(s *magentotest.Switches) { s.TwoFactor = true })
			},
			want: map[string][]string{"shop/sign-in failure": {"two-factor"}},
		},
		"a wrong password": {
			spoil: func(w *world) {
				w.shopSettings.AccessToken = ""
				w.shopSettings.Username, w.shopSettings.Password = magentotest.Username, "hunter2"
			},
			want: map[string][]string{"shop/sign-in failure": {"SYNCD_MAGENTO_PASSWORD"}},
		},
		"two factors, and their secret": {
			spoil: func(w *world) {
				const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
				w.shopSettings.AccessToken = ""
				w.shopSettings.Username, w.shopSettings.Password, w.shopSettings.TOTPSecret = magentotest.Username, magentotest.Password, secret
				w.shop.Switch(func(s *magentotest.Switches) { s.TwoFactor, s.TOTPSecret = true, secret })
			},
		},
		"Magento 2.3.7-p1": {
			spoil: func(w *world) {
				w.shop.Switch(func(s *magentotest.Switches) { *s = magentotest.Installed("2.3.7-p1") })
				w.checkedShop.PageSize = 500
			},
			want: map[string][]string{
				"shop/newsletter warning": {"lists of customers do not say"},
				"shop/page size warning":  {"at most 300", "SYNCD_MAGENTO_PAGE_SIZE=300"},
				"shop/version warning":    {"Magento/2.3 (Community)", "no longer supported"},
			},
		},
		"Magento 2.4.7 with the integration's four secrets": {
			spoil: func(w *world) {
				w.shop.Switch(func(s *magentotest.Switches) { *s = magentotest.Installed("2.4.7") })
				w.shopSettings.ConsumerKey, w.shopSettings.ConsumerSecret = magentotest.ConsumerKey, magentotest.ConsumerSecret
				w.shopSettings.AccessTokenSecret = magentotest.AccessTokenSecret
				w.shopSettings.OAuthURL = "http://shop.example" // there is no TLS within a process
			},
		},
		"the shop gives short pages": {
			spoil: func(w *world) {
				w.shop.Switch(func(s *magentotest.Switches) { s.InputLimit, s.MaxPageSize = true, 50 })
			},
			want: map[string][]string{"shop/page size warning": {"at most 50", "SYNCD_MAGENTO_PAGE_SIZE=50"}},
		},
		"the shop's clock is ahead": {
			shopAhead: 5 * time.Minute,
			want:      map[string][]string{"shop/clock failure": {"5m ahead", "NTP"}},
		},
		"the shop's clock is a little behind": {
			shopAhead: -time.Minute,
			want:      map[string][]string{"shop/clock warning": {"59s behind", "NTP"}},
		},
		"Copernica's clock is behind": {
			accountAhead: -5 * time.Minute,
			want:         map[string][]string{"copernica/clock failure": {"4m 59s behind", "NTP"}},
		},
		"another shop than the state's": {
			spoil: func(w *world) {
				w.checkedShop.Same = func(context.Context) error { return errors.New("made with another shop") }
			},
			want: map[string][]string{"shop/same shop failure": {"made with another shop"}},
		},

		"Copernica answers HTML": {
			spoil:   func(w *world) { w.toAccount = page(http.StatusOK) },
			want:    map[string][]string{"copernica/address failure": {"HTML", "SYNCD_COPERNICA_A"}},
			skipped: []string{"copernica/database", "copernica/fields", "copernica/consumption"},
		},
		"a wrong token of the account": {
			spoil:   func(w *world) { w.account.Revoke() },
			want:    map[string][]string{"copernica/access token failure": {"SYNCD_COPERNICA_ACCESS_TOKEN"}},
			skipped: []string{"copernica/database", "copernica/fields", "copernica/consumption"},
		},
		"a wrong database": {
			spoil:   func(w *world) { w.checkedAccount.Database = "Magneto" },
			want:    map[string][]string{"copernica/database failure": {"no database Magneto, but Magento", "SYNCD_COPERNICA_DATABASE", "--create-database"}},
			skipped: []string{"copernica/fields", "copernica/collection Orders"},
		},
		"an empty account": {
			spoil: func(w *world) {
				w.toAccount = copernicatest.New(copernicatest.Config{Empty: true}).Transport()
			},
			want: map[string][]string{"copernica/database failure": {"and no other", "syncd provision"}},
		},
		"another database than the state's": {
			spoil: func(w *world) { w.checkedAccount.Target = "Copernica database 7" },
			want:  map[string][]string{"copernica/database failure": {"belongs to Copernica database 7"}},
		},
		"the key field was renamed": {
			spoil: func(w *world) {
				w.must(w.account.RenameField(copernicatest.DatabaseName, "customer_id", "customer"))
			},
			want: map[string][]string{"copernica/fields failure": {"1 field is missing (customer_id)", "rename back"}},
		},
		"a field was removed": {
			spoil: func(w *world) { w.must(w.account.DropField(copernicatest.DatabaseName, "lastname")) },
			want:  map[string][]string{"copernica/fields failure": {"1 field is missing (lastname)", "syncd provision"}},
		},
		"a field was retyped": {
			spoil: func(w *world) {
				w.must(w.account.DropField(copernicatest.DatabaseName, "birthdate"))
				w.must(w.account.AddFields(copernicatest.DatabaseName, copernicatest.Field{Name: "birthdate", Type: "integer", Default: "0"}))
			},
			want: map[string][]string{"copernica/fields failure": {"birthdate is of type integer, not date", "change it in Copernica"}},
		},
		"a field was shortened": {
			spoil: func(w *world) {
				w.must(w.account.DropField(copernicatest.DatabaseName, "lastname"))
				w.must(w.account.AddFields(copernicatest.DatabaseName, copernicatest.Field{Name: "lastname", Length: 20}))
			},
			want: map[string][]string{"copernica/fields warning": {"lastname holds 20 characters, not 250"}},
		},
		"old versions of the API": {
			spoil: func(w *world) {
				w.accountSettings.Version = 3
				w.checkedAccount.Address = "https://api.copernica.com/v3"
			},
			want: map[string][]string{"copernica/access token warning": {"version 3", "SYNCD_COPERNICA_API_VERSION=4"}},
		},
		"both peers hang": {
			spoil: func(w *world) { w.toShop, w.toAccount = hanging{}, hanging{} },
			want: map[string][]string{
				"shop/address failure":      {"does not answer in time", "var/log"},
				"copernica/address failure": {"does not answer in time"},
			},
			skipped: []string{"shop/sign-in", "copernica/database"},
		},
		"a shop that takes 4 seconds for each answer": {
			spoil: func(w *world) {
				w.toShop = emulator.Transport(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if emulator.Wait(r.Context(), 4*time.Second) {
						w.shop.Handler().ServeHTTP(rw, r)
					}
				}))
			},
			want:    map[string][]string{"shop/sign-in failure": {"no answer within 6s"}},
			skipped: []string{"shop/stores"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, c.shopAhead, c.accountAhead)
				if c.spoil != nil {
					c.spoil(w)
				}
				began := time.Now()
				report := w.check()
				if took := time.Since(began); took > 11*time.Second {
					t.Errorf("it took %s", took)
				}
				w.expect(report, c.want)
				skipped := map[string]bool{}
				for _, r := range report.Results {
					if r.Status == doctor.Skipped {
						skipped[r.Group+"/"+r.Name] = true
					}
				}
				for _, name := range c.skipped {
					if !skipped[name] {
						t.Errorf("%s was not skipped", name)
					}
				}
			})
		})
	}
}

// TestPastedAdminToken says how long it lives.
func TestPastedAdminToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0, 0)
		token := w.signIn()
		w.shopSettings.AccessToken = token
		time.Sleep(10 * time.Minute)
		w.expect(w.check(), map[string][]string{"shop/sign-in warning": {"ends at 2000-01-01 01:00:00 UTC, in 50m", "integration"}})
		time.Sleep(time.Hour)
		w.expect(w.check(), map[string][]string{"shop/sign-in failure": {"expired"}})
	})
}

func denied(resource string) func(*world) {
	return func(w *world) { w.shop.Switch(func(s *magentotest.Switches) { s.Denied = []string{resource} }) }
}

// TestEveryPermissionIsChecked holds the checks to what the client asks a shop for.
func TestEveryPermissionIsChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, 0)
	report := w.check()
	client, err := magento.New(magento.Config{BaseURL: "https://shop.example", AccessToken: magentotest.AccessToken, Transport: w.toShop})
	w.must(err)
	all, err := client.Permissions(t.Context())
	w.must(err)
	for _, p := range all {
		found := false
		for _, r := range report.Results {
			found = found || strings.HasPrefix(r.Name, "may ") && strings.HasSuffix(r.Name, " "+p.Needed) && strings.Contains(r.Text, p.Resource)
		}
		if !found {
			t.Errorf("no line about %s, which %s need", p.Resource, p.Needed)
		}
	}
}
