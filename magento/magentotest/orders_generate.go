package magentotest

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// product is something this shop sells, at a price in its base currency.
type product struct {
	id        int64
	sku, name string
	price     decimal
	kind      string // simple, virtual or configurable
	variants  []variant
}

// variant is a choice of a configurable product.
type variant struct {
	id, option int64
	sku, name  string
}

// products are those of the recorded shop, and one of the price of nothing.
func products() []product {
	return []product{
		{1, "SIMPLE-1", "Fiets “Amsterdam”", 499 * one, "simple", nil},
		{2, "SIMPLE-2", "Koffiemok", 995 * one / 100, "simple", nil},
		{3, "SIMPLE-3", "Reisgids Ærø", 245 * one / 10, "simple", nil},
		{4, "SIMPLE-4", "T-shirt basic", 1499 * one / 100, "simple", nil},
		{5, "SIMPLE-5", "Kookboek & meer", 32 * one, "simple", nil},
		{6, "SIMPLE-6", "Sleutelhanger 5\" <rood>", 325 * one / 100, "simple", nil},
		{7, "VIRT-1", "Cadeaubon", 25 * one, "virtual", nil},
		{11, "SHIRT", "Shirt (configureerbaar)", 1995 * one / 100, "configurable", []variant{
			{8, 11, "SHIRT-BLAUW", "Shirt Blauw"}, {9, 12, "SHIRT-GROEN", "Shirt Groen"}, {10, 10, "SHIRT-ROOD", "Shirt Rood"},
		}},
		{12, "GRATIS-1", "Proefmonster", 0, "simple", nil},
	}
}

// orderGenerator makes orders. Where it has a choice it is made by rand alone.
type orderGenerator struct {
	generator
	customers []Customer
	products  []product
	guests    int    // different guest e-mails
	elsewhere string // as of stranger
	numbers   map[int64]int64

	lines, addresses, comments int64
}

// generateOrders returns n orders by id, the same for the same seed and customers, with
// the newest updated_at at start.
func generateOrders(seed uint64, n int, customers []Customer, start time.Time) []Order {
	g := orderGenerator{
		generator: generator{rand: rand.New(rand.NewPCG(seed, 0x6f7264657273)), start: start},
		customers: customers, products: products(), guests: max(2, n/15), elsewhere: stranger(customers), numbers: map[int64]int64{},
	}
	all := make([]Order, n)
	for i := range all {
		all[i] = g.order(i, n)
	}
	if n > 0 {
		g.crowd(all)
		all[n-1].UpdatedAt = start
	}
	return all
}

// order makes the i-th of n, in the order of placing.
func (g *orderGenerator) order(i, n int) Order {
	g.id++
	if g.chance(2) {
		g.id += g.rand.Int64N(3) + 1
	}
	const span = 396 * 24 * 60 * 60
	placed := g.start.Add(-398 * 24 * time.Hour).Add(time.Duration(int64(i)*span/int64(n)) * time.Second)
	o := Order{
		ID: g.id, QuoteID: g.id + g.rand.Int64N(100), CreatedAt: placed, UpdatedAt: placed.Add(time.Second),
		State: "new", Status: "pending", NoteNotify: 1, EmailSent: 1,
		RemoteIP: "127.0.0.1", ProtectCode: fmt.Sprintf("%016x%016x", g.rand.Uint64(), g.rand.Uint64()),
		PaymentID: g.id, PaymentMethod: "checkmo", PaymentTitle: "Check / Money order",
	}
	if g.chance(20) {
		o.PaymentMethod, o.PaymentTitle = bankTransfer, "Bank Transfer Payment"
	}
	g.buyer(&o)
	currency(&o)
	o.StoreName = storeName(o.StoreID)
	g.numbers[o.StoreID]++
	o.IncrementID = orderNumber(o.StoreID, g.numbers[o.StoreID])
	g.fill(&o)
	g.deliver(&o)
	g.fate(&o)
	return o
}

// crowd moves a tenth of the orders, at least 200 of a thousand, into one second.
func (g *orderGenerator) crowd(all []Order) {
	size := len(all) / 10
	if len(all) >= 1000 {
		size = max(size, 200)
	}
	second := g.start.Add(-36 * time.Hour)
	for _, i := range g.rand.Perm(len(all))[:size] {
		if all[i].CreatedAt.Before(second) {
			all[i].UpdatedAt = second
		}
	}
}
