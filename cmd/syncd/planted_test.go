package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// planted is a stage on which differences are made, each of a record of its own.
type planted struct {
	*stage
	customers []magentotest.Customer // without orders, and with an e-mail that is theirs alone
	orders    []magentotest.Order    // whose rows are in Copernica
	want      map[string]string      // fields that differ, by "deviation entity key"
}

// plant returns a stage in step whose customers and orders come in an order of chance.
func plant(t *testing.T, shop magentotest.Config) *planted {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("SYNCD_TEST_SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("SYNCD_TEST_SEED=%d repeats this", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p := &planted{stage: stageOf(t, shop), want: map[string]string{}}
	p.environ["SYNCD_MAGENTO_PAGE_SIZE"] = "100"
	p.ends(exitDone, p.run("run"))
	p.pass(time.Minute)
	data := p.shop.Data()
	ordered, emails := map[int64]bool{}, map[string]int{}
	for _, o := range data.Orders {
		ordered[o.CustomerID] = true
	}
	for _, c := range data.Customers {
		emails[strings.ToLower(c.Email)]++
	}
	for _, c := range data.Customers {
		if !ordered[c.ID] && emails[strings.ToLower(c.Email)] == 1 {
			p.customers = append(p.customers, c)
		}
	}
	for _, o := range data.Orders {
		if _, ok := p.row("Orders", "order_id", fmt.Sprint("shop-o", o.ID)); ok {
			p.orders = append(p.orders, o)
		}
	}
	random.Shuffle(len(p.customers), func(i, j int) { p.customers[i], p.customers[j] = p.customers[j], p.customers[i] })
	random.Shuffle(len(p.orders), func(i, j int) { p.orders[i], p.orders[j] = p.orders[j], p.orders[i] })
	return p
}

// each makes a difference of n customers that have none yet; those of orders follow.
func (p *planted) each(n int, make func(c magentotest.Customer, key string) (finding, fields string)) {
	p.t.Helper()
	if len(p.customers) < n {
		p.t.Fatalf("only %d customers are left, of %d", len(p.customers), n)
	}
	for _, c := range p.customers[:n] {
		key := fmt.Sprint("shop-c", c.ID)
		finding, fields := make(c, key)
		p.want[finding+" profile "+key] = fields
	}
	p.customers = p.customers[n:]
}

func (p *planted) eachOrder(n int, make func(o magentotest.Order, key string)) {
	p.t.Helper()
	if len(p.orders) < n {
		p.t.Fatalf("only %d orders are left, of %d", len(p.orders), n)
	}
	for _, o := range p.orders[:n] {
		make(o, fmt.Sprint("shop-o", o.ID))
	}
	p.orders = p.orders[n:]
}

func (p *planted) row(collection, field, key string) (copernicatest.Subprofile, bool) {
	rows := p.account.Subprofiles(copernicatest.DatabaseName, collection)
	i := slices.IndexFunc(rows, func(s copernicatest.Subprofile) bool { return s.Fields[field] == key })
	if i < 0 {
		return copernicatest.Subprofile{}, false
	}
	return rows[i], true
}

func (p *planted) order(key string) copernicatest.Subprofile {
	p.t.Helper()
	row, ok := p.row("Orders", "order_id", key)
	if !ok {
		p.t.Fatalf("no row %s", key)
	}
	return row
}

// line returns a row below the profile of an order that stands for one of its lines.
func (p *planted) line(o magentotest.Order) copernicatest.Subprofile {
	p.t.Helper()
	for _, l := range o.Lines {
		if row, ok := p.row("Orders_Items", "item_id", fmt.Sprint("shop-i", l.ID)); ok {
			return row
		}
	}
	p.t.Fatalf("no line of order %d", o.ID)
	return copernicatest.Subprofile{}
}

func (p *planted) profile(key string) int64 {
	p.t.Helper()
	for _, one := range p.account.Profiles(copernicatest.DatabaseName) {
		if one.Fields["customer_id"] == key {
			return one.ID
		}
	}
	p.t.Fatalf("no profile %s", key)
	return 0
}

// verify runs the command and returns what it found.
func (p *planted) verify(code int, args ...string) map[string]string {
	p.t.Helper()
	out := p.run(append([]string{"verify", "--json"}, args...)...)
	if out.code != code {
		p.t.Fatalf("exit code %d, want %d\n%s%s", out.code, code, out.stdout, out.stderr)
	}
	var report verifyReport
	p.must(json.Unmarshal([]byte(out.stdout), &report))
	found := map[string]string{}
	for _, d := range report.Differences {
		var names []string
		for _, f := range d.Fields {
			names = append(names, f.Field)
		}
		found[fmt.Sprintf("%s %s %s", d.Deviation, d.Entity, d.Key)] = strings.Join(names, " ")
	}
	if len(found) != len(report.Differences) {
		p.t.Errorf("%d differences are told, %d of them apart", len(report.Differences), len(found))
	}
	return found
}

// writes counts what was written to both sides.
func (p *planted) writes() int64 {
	n := int64(0)
	for call, count := range p.account.Log().Counts() {
		if !strings.HasPrefix(call, "GET ") && call != "POST /" { // where a token is exchanged

			n += count
		}
	}
	return n
}

// records are the ledger's rows by entity and state.
func (p *planted) records() map[string]map[string]int64 {
	p.t.Helper()
	var status struct {
		Records map[string]map[string]int64 `json:"records"`
	}
	p.must(json.Unmarshal([]byte(p.stage.run("status", "--json").stdout), &status))
	return status.Records
}
