package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// samplePage is how many rows a page of the shop has at most where it is sampled.
const samplePage = 10

// lists are where each part of a verification reads its pages, by what it says it looked at.
func lists() map[string]string {
	return map[string]string{
		"customers/sweep":         "/customers/search",
		"orders/sweep":            "/V1/orders",
		"copernica/sweep/profile": "/profiles",
		"copernica/sweep/order":   "/collection/501/subprofiles",
		"copernica/sweep/item":    "/collection/502/subprofiles",
	}
}

// sampled runs a sample. It returns what it found, and the pages that each part of it read,
// by the calls.
func (p *planted) sampled(places string) (verifyReport, map[string][]string) {
	p.t.Helper()
	p.shop.Log().Reset()
	p.account.Log().Reset()
	var report verifyReport
	p.must(json.Unmarshal([]byte(p.run("verify", "--sample", places, "--json").stdout), &report))
	pages := map[string][]string{}
	for what, path := range lists() {
		for _, log := range []*emulator.Log{p.shop.Log(), p.account.Log()} {
			for _, call := range log.Recent() {
				if call.Method == http.MethodGet && strings.HasSuffix(call.Path, path) {
					pages[what] = append(pages[what], call.Query)
				}
			}
		}
	}
	return report, pages
}

// A sample reads a page at each of its places, on both sides, and the places are others
// each time.
func TestVerifySamplesPlacesOfChance(t *testing.T) {
	t.Parallel()
	p := plant(t, magentotest.Config{Customers: 200, Orders: 60})
	p.environ["SYNCD_MAGENTO_PAGE_SIZE"] = number(samplePage)
	most := map[string]int64{
		"copernica/sweep/profile": int64(len(p.account.Profiles(copernicatest.DatabaseName))),
		"copernica/sweep/order":   int64(len(p.account.Subprofiles(copernicatest.DatabaseName, "Orders"))),
		"copernica/sweep/item":    int64(len(p.account.Subprofiles(copernicatest.DatabaseName, "Orders_Items"))),
	}
	places := map[string]map[string]bool{}
	inside := map[string]bool{} // a sample began behind the first row, though ids begin high
	for range 8 {
		report, pages := p.sampled("1")
		if len(report.Looked) != len(lists()) || report.Sample != 1 || len(report.Differences) != 0 {
			t.Fatalf("%+v", report)
		}
		for _, part := range report.Looked {
			bound, ok := most[part.What]
			if !ok {
				bound = samplePage
			}
			if len(pages[part.What]) != 1 || part.Read < 1 || part.Read > bound {
				t.Errorf("%s: %d rows of %d pages are read, want one page of at most %d", part.What, part.Read, len(pages[part.What]), bound)
				continue
			}
			if places[part.What] == nil {
				places[part.What] = map[string]bool{}
			}
			places[part.What][pages[part.What][0]] = true
			inside[part.What] = inside[part.What] || ok && part.Read < bound
		}
	}
	for what, at := range places {
		if len(at) < 2 {
			t.Errorf("%s: eight samples have one place between them", what)
		}
		if _, inCopernica := most[what]; inCopernica && !inside[what] {
			t.Errorf("%s: eight samples begin at the first row", what)
		}
	}
	// Places that lie in one page are read once.
	report, pages := p.sampled("3")
	for _, part := range report.Looked {
		if n := len(pages[part.What]); n < 1 || n > 3 {
			t.Errorf("%s: %d pages are read, want 1 to 3", part.What, n)
		}
		if _, inCopernica := most[part.What]; !inCopernica && part.Read > 3*samplePage {
			t.Errorf("%s: %d rows of three pages are read", part.What, part.Read)
		}
	}
}

// What differs everywhere is found wherever is looked: each row that a sample reads is one
// of its findings.
func TestVerifySampleFindsWhatDiffersEverywhere(t *testing.T) {
	t.Parallel()
	p := plant(t, magentotest.Config{Customers: 200, Orders: 60})
	p.environ["SYNCD_MAGENTO_PAGE_SIZE"] = number(samplePage)
	data := p.shop.Data()
	for _, c := range data.Customers {
		p.shop.EditQuietly(c.ID, func(c *magentotest.Customer) { c.LastName += " quietly" })
	}
	for _, o := range data.Orders {
		p.shop.EditOrderQuietly(o.ID, func(o *magentotest.Order) { o.Status = "quiet" })
	}
	report, _ := p.sampled("1")
	p.everyRow(report, engine.Outdated, map[string]state.Entity{"customers/sweep": state.Profile, "orders/sweep": state.Order})

	for _, one := range p.account.Profiles(copernicatest.DatabaseName) {
		p.must(p.account.EditProfile(one.ID, map[string]string{"lastname": "By hand"}))
	}
	for collection, field := range map[string]string{"Orders": "status", "Orders_Items": "name"} {
		for _, row := range p.account.Subprofiles(copernicatest.DatabaseName, collection) {
			p.must(p.account.EditSubprofile(row.ID, map[string]string{field: "By hand"}))
		}
	}
	report, _ = p.sampled("1")
	p.everyRow(report, engine.Edited, map[string]state.Entity{
		"copernica/sweep/profile": state.Profile, "copernica/sweep/order": state.Order, "copernica/sweep/item": state.Item,
	})
}

// everyRow expects that of each row that parts of a sample read a deviation is told. Orders
// of deleted accounts have no row.
func (p *planted) everyRow(report verifyReport, deviation engine.Deviation, parts map[string]state.Entity) {
	p.t.Helper()
	for _, part := range report.Looked {
		entity, ok := parts[part.What]
		if !ok {
			continue
		}
		rowless := int64(0)
		if part.What == engine.OrdersSweep {
			rowless = int64(len(p.shop.Data().Orders) - len(p.orders))
		}
		if n := report.Counts[deviation][entity]; n == 0 || n > part.Read || n < part.Read-rowless {
			p.t.Errorf("%s: of %d rows that were read %d are found %s", part.What, part.Read, n, deviation)
		}
	}
}
