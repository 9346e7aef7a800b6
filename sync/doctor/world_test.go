package doctor_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/doctor"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// world is a shop and an account, in this process, with what a check is told of them.
type world struct {
	t       *testing.T
	shop    *magentotest.Shop
	account *copernicatest.Account

	toShop, toAccount http.RoundTripper
	shopSettings      magento.Config
	accountSettings   copernica.Config
	checkedShop       doctor.Shop
	checkedAccount    doctor.Account
	mapping           *mapping.Mapping
}

// newWorld returns a healthy pair. The clocks of both are ahead of ours as said.
func newWorld(t *testing.T, shopAhead, accountAhead time.Duration) *world {
	t.Helper()
	w := &world{t: t}
	w.shop = magentotest.New(magentotest.Config{Customers: 30, Now: func() time.Time { return time.Now().Add(shopAhead) }})
	w.account = copernicatest.New(copernicatest.Config{Now: func() time.Time { return time.Now().Add(accountAhead) }})
	w.toShop, w.toAccount = w.shop.Transport(), w.account.Transport()
	w.shopSettings = magento.Config{BaseURL: "https://shop.example", AccessToken: magentotest.AccessToken}
	w.accountSettings = copernica.Config{AccessToken: copernicatest.AccessToken}

	file, err := mapping.Default()
	if err != nil {
		t.Fatal(err)
	}
	if w.mapping, err = file.Compile(mapping.Options{Shop: "shop"}); err != nil {
		t.Fatal(err)
	}
	for _, table := range w.mapping.Tables() {
		w.provision(w.mapping.Collection(table), w.mapping.NeedsOf(table))
	}
	w.checkedShop = doctor.Shop{PageSize: 300, Orders: true}
	w.checkedAccount = doctor.Account{Address: "https://api.copernica.com/v4", Database: copernicatest.DatabaseName, Mapping: w.mapping, Orders: true}
	return w
}

func (w *world) provision(collection string, needs []mapping.Need) {
	w.t.Helper()
	var fields []copernicatest.Field
	for _, n := range needs {
		f := copernicatest.Field{Name: n.Name, Type: string(n.Type), Length: n.Length, Index: n.Index}
		switch n.Type {
		case mapping.Integer, mapping.Float:
			f.Default = "0"
		}
		fields = append(fields, f)
	}
	var err error
	if collection == "" {
		err = w.account.AddFields(copernicatest.DatabaseName, fields...)
	} else {
		_, err = w.account.CreateCollection(copernicatest.DatabaseName, collection, fields...)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// check makes the checks of both peers, each once, as the command does.
func (w *world) check() doctor.Report {
	w.t.Helper()
	chain := func(peer string, base http.RoundTripper) *doctor.Watch {
		transport, err := httpx.New(httpx.Config{Peer: peer, Base: base, Retries: -1, AttemptTimeout: 9 * time.Second})
		if err != nil {
			w.t.Fatal(err)
		}
		return doctor.NewWatch(transport, time.Now)
	}
	shop, account := w.checkedShop, w.checkedAccount
	shop.Watch, shop.Now = chain("magento", w.toShop), time.Now
	account.Watch, account.Now = chain("copernica", w.toAccount), time.Now
	w.shopSettings.Transport, w.accountSettings.Transport = shop.Watch, account.Watch
	var err error
	if shop.Client, err = magento.New(w.shopSettings); err != nil {
		w.t.Fatal(err)
	}
	if account.Client, err = copernica.New(w.accountSettings); err != nil {
		w.t.Fatal(err)
	}
	return doctor.Run(w.t.Context(), 10*time.Second, append(shop.Checks(), account.Checks()...)...)
}

// expect compares the results that are not as they should be with what is said of them:
// "group/name status" and words that the line must have. Checks that were skipped for
// one of these are left out.
func (w *world) expect(report doctor.Report, want map[string][]string) {
	w.t.Helper()
	seen := map[string]bool{}
	for _, r := range report.Results {
		if r.Status == doctor.OK || r.Status == doctor.Skipped {
			continue
		}
		name := r.Group + "/" + r.Name + " " + string(r.Status)
		words, ok := want[name]
		seen[name] = true
		line := r.Text + ": " + r.Fix
		if !ok {
			w.t.Errorf("%s: %s", name, line)
			continue
		}
		for _, word := range words {
			if !strings.Contains(line, word) {
				w.t.Errorf("%s: %q lacks %q", name, line, word)
			}
		}
	}
	for name := range want {
		if !seen[name] {
			w.t.Errorf("%s is not found", name)
		}
	}
}

// signIn fetches an admin user's token, as somebody does who pastes it.
func (w *world) signIn() string {
	w.t.Helper()
	body := strings.NewReader(`{"username":"` + magentotest.Username + `","password":"` + magentotest.Password + `"}`)
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "https://shop.example/rest/V1/integration/admin/token", body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.shop.Transport().RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var token string
	w.must(json.NewDecoder(resp.Body).Decode(&token))
	return token
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}
