package magentotest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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

// buyer is a customer, a guest, or somebody whose account is gone.
func (g *orderGenerator) buyer(o *Order) {
	p := g.rand.Float64() * 100
	switch {
	case len(g.customers) == 0 || p < 25:
		g.guest(o)
		return
	case p < 27:
		g.customer(o, g.customers[g.rand.IntN(len(g.customers))])
		o.CustomerID, o.Email = 0, fmt.Sprintf("weg%05d@example.test", o.ID)
	case p < 45: // a few order often
		g.customer(o, g.customers[g.rand.IntN(1+len(g.customers)/50)])
	default:
		g.customer(o, g.customers[g.rand.IntN(len(g.customers))])
	}
}

func (g *orderGenerator) customer(o *Order, c Customer) {
	o.CustomerID, o.CustomerGroupID, o.Email = c.ID, c.GroupID, c.Email
	o.FirstName, o.MiddleName, o.LastName, o.Prefix = c.FirstName, c.MiddleName, c.LastName, c.Prefix
	o.Suffix, o.Gender, o.TaxVAT = c.Suffix, c.Gender, c.TaxVAT
	if c.DOB != "" {
		o.DOB = c.DOB + " 00:00:00"
	}
	o.StoreID = c.StoreID
	if c.WebsiteID == 1 && g.chance(10) {
		o.StoreID = []int64{1, 3}[g.rand.IntN(2)]
	}
}

// guest orders without an account. Some order more than once, and write their address
// in another way then; a few have an account on the other website.
func (g *orderGenerator) guest(o *Order) {
	o.Guest = true
	o.StoreID = []int64{1, 1, 3, 4}[g.rand.IntN(4)]
	n := g.rand.IntN(g.guests)
	switch n % 5 {
	case 0:
		o.Email = fmt.Sprintf("gast+tag%d@example.test", n)
	case 1:
		o.Email = fmt.Sprintf("Gast.%d@Example.test", n)
	default:
		o.Email = fmt.Sprintf("gast%d@example.test", n)
	}
	switch g.rand.IntN(6) {
	case 0:
		o.Email = strings.ToUpper(o.Email)
	case 1:
		o.Email = strings.ToLower(o.Email)
	}
	if g.chance(2) {
		if g.elsewhere != "" {
			o.Email, o.StoreID = g.elsewhere, 4
		}
	}
	if g.chance(90) { // older versions leave the names to the address
		o.FirstName, o.LastName = g.pick(firstNames), g.pick(lastNames)
		if g.chance(10) {
			o.MiddleName = g.pick(middleNames)
		}
	}
}

// stranger returns an e-mail that has an account on the first website and none on the
// second.
func stranger(customers []Customer) string {
	taken := map[string]bool{}
	for _, c := range customers {
		if c.WebsiteID == 2 {
			taken[fold(c.Email)] = true
		}
	}
	i := slices.IndexFunc(customers, func(c Customer) bool { return c.WebsiteID == 1 && !taken[fold(c.Email)] })
	if i < 0 {
		return ""
	}
	return customers[i].Email
}

// fill puts products into an order and adds up.
func (g *orderGenerator) fill(o *Order) {
	rate := parseDecimal(o.ToOrderRate)
	rebate, tax := decimal(0), decimal(0)
	if g.chance(9) {
		rebate = 10 * one
		o.CouponCode, o.DiscountDescription, o.RuleIDs = "WELKOM10", "WELKOM10", "1"
	}
	if g.chance(30) {
		tax = 21 * one
	}
	o.Virtual = true
	all := []*Totals{&o.Totals, &o.BaseTotals}
	var sums [2]struct{ subtotal, incl, discount, tax decimal }
	var quantity, weight decimal
	for range 1 + g.rand.IntN(3) {
		p := g.products[g.rand.IntN(len(g.products))]
		if g.chance(4) {
			p = g.products[6]
		}
		n := one * decimal(1+g.rand.Int64N(4))
		if g.chance(1) {
			n += one / 4 // sold by weight
		}
		l := g.line(o, p, n)
		o.Virtual = o.Virtual && l.Virtual
		l.OriginalPrice, l.BaseOriginalPrice = p.price.times(rate).String(), p.price.String()
		l.DiscountRate, l.TaxRate, l.RuleIDs = rebate.String(), tax.String(), o.RuleIDs
		for k, price := range []decimal{p.price.times(rate).cents(), p.price} {
			discount := price.times(n).times(rebate / 100).cents()
			row := price.times(n).cents() - discount
			vat := row.times(tax / 100).cents()
			incl := price + price.times(tax/100).cents()
			for _, set := range []struct {
				text [2]*string
				v    decimal
			}{
				{[2]*string{&l.Price, &l.BasePrice}, price},
				{[2]*string{&l.PriceInclTax, &l.BasePriceInclTax}, incl},
				{[2]*string{&l.RowTotal, &l.BaseRowTotal}, row},
				{[2]*string{&l.RowInclTax, &l.BaseRowInclTax}, row + vat},
				{[2]*string{&l.Discount, &l.BaseDiscount}, discount},
				{[2]*string{&l.Tax, &l.BaseTax}, vat},
			} {
				*set.text[k] = set.v.String()
			}
			sums[k].subtotal += row + discount
			sums[k].incl += row + discount + vat
			sums[k].discount += discount
			sums[k].tax += vat
		}
		quantity += n
		if !l.Virtual {
			weight += n
		}
		o.Lines = append(o.Lines, l)
		if len(p.variants) > 0 {
			o.Lines = g.child(o, p, n)
		}
	}
	o.Quantity, o.Weight = quantity.String(), weight.String()
	shipping := decimal(0)
	if !o.Virtual {
		shipping = quantity * 5
	}
	for k, t := range all {
		freight := shipping
		if k == 0 {
			freight = shipping.times(rate).cents()
		}
		s := sums[k]
		*t = Totals{
			Subtotal: s.subtotal.String(), SubtotalInclTax: s.incl.String(), Discount: (-s.discount).String(),
			Shipping: freight.String(), ShippingInclTax: freight.String(), ShippingTax: "0", Tax: s.tax.String(),
			Grand: (s.subtotal - s.discount + freight + s.tax).String(),
		}
	}
	o.Due, o.BaseDue = o.Totals.Grand, o.BaseTotals.Grand
}

func (g *orderGenerator) line(o *Order, p product, n decimal) Line {
	g.lines++
	l := Line{
		ID: g.lines, ProductID: p.id, QuoteID: g.lines, Type: p.kind, SKU: p.sku, Name: p.name,
		Virtual: p.kind == "virtual", CreatedAt: o.CreatedAt, UpdatedAt: o.CreatedAt, Ordered: n.String(),
	}
	if !l.Virtual {
		l.Weight, l.RowWeight = "1", n.String()
	}
	return l
}

// child adds the chosen variant of a configurable product below the last line, which
// takes its sku.
func (g *orderGenerator) child(o *Order, p product, n decimal) []Line {
	v := p.variants[g.rand.IntN(len(p.variants))]
	parent := &o.Lines[len(o.Lines)-1]
	parent.SKU, parent.Options = v.sku, []Option{{"93", v.option}}
	l := g.line(o, product{id: v.id, sku: v.sku, name: v.name, kind: "simple"}, n)
	l.ParentID, l.RowWeight = parent.ID, "0"
	return append(o.Lines, l)
}

// deliver gives an order its addresses.
func (g *orderGenerator) deliver(o *Order) {
	g.addresses += 2
	first, last := o.FirstName, o.LastName
	if first == "" && last == "" {
		first, last = g.pick(firstNames), g.pick(lastNames)
	}
	a := OrderAddress{
		ID: g.addresses, Email: o.Email, FirstName: first, LastName: last, Telephone: "+31 20 555 0101", CountryID: "NL",
		Postcode: fmt.Sprintf("%04d AA", 1000+g.rand.IntN(9000)), City: g.pick(cities),
		Street:    []string{g.pick(streets) + " " + fmt.Sprint(1+g.rand.IntN(250))},
		RegionKey: g.chance(70), CustomerLink: g.chance(70),
	}
	if o.StoreID == 4 {
		a.CountryID = "GB"
	}
	if g.chance(20) {
		a.Company = g.pick(companies)
	}
	if g.chance(20) {
		a.Street = append(a.Street, "2-hoog")
	}
	o.Billing = a
	if o.Virtual {
		return
	}
	o.ShippingDescription, o.ShippingMethod = "Flat Rate - Fixed", "flatrate_flatrate"
	o.Shipping = new(a)
	o.Shipping.ID--
}

// fate lets an order be paid, sent, refunded, canceled or held, each some time after.
func (g *orderGenerator) fate(o *Order) {
	p := g.rand.Float64() * 100
	if p < 40 {
		return
	}
	age := int64(g.start.Sub(o.CreatedAt) / time.Second)
	o.UpdatedAt = o.CreatedAt.Add(time.Duration(1+g.rand.Int64N(age-1)) * time.Second)
	whole := func(*Line) decimal { return one }
	switch {
	case p < 42:
		o.HoldState, o.HoldStatus = o.State, o.Status
		o.State, o.Status = "holded", "holded"
	case p < 47:
		o.State, o.Status = "canceled", "canceled"
		o.Canceled = sumUp(o, nil)
		each(o, func(l *Line, n decimal) { l.Canceled = n.String() })
	case p < 56:
		o.State, o.Status = "processing", "processing"
		g.invoice(o, whole)
	case p < 62: // the first line only, and a part of it back
		g.invoice(o, func(l *Line) decimal {
			if l.ID == o.Lines[0].ID || l.ParentID == o.Lines[0].ID {
				return one
			}
			return 0
		})
		o.State, o.Status = "processing", "processing"
		if g.chance(50) {
			first := o.Lines[0].ID
			g.refund(o, func(l *Line) bool { return l.ID == first }, false)
		}
	case p < 67:
		o.State, o.Status = "closed", "closed"
		g.invoice(o, whole)
		g.refund(o, func(*Line) bool { return true }, true)
	default:
		o.State, o.Status = "complete", "complete"
		g.invoice(o, whole)
		each(o, func(l *Line, n decimal) {
			if l.ParentID == 0 && !l.Virtual {
				l.Shipped = n.String()
			}
		})
	}
}

// each calls f with every line and its quantity.
func each(o *Order, f func(l *Line, n decimal)) {
	for i := range o.Lines {
		o.Lines[i].UpdatedAt = o.UpdatedAt
		f(&o.Lines[i], parseDecimal(o.Lines[i].Ordered))
	}
}

// sumUp adds up the lines that take part, with shipping; nil takes all of them.
func sumUp(o *Order, takes func(*Line) bool) *Sums {
	var s [2]struct{ subtotal, discount, tax decimal }
	for i := range o.Lines {
		l := &o.Lines[i]
		if l.ParentID != 0 || takes != nil && !takes(l) {
			continue
		}
		for k, t := range [][3]string{{l.RowTotal, l.Discount, l.Tax}, {l.BaseRowTotal, l.BaseDiscount, l.BaseTax}} {
			s[k].subtotal += parseDecimal(t[0]) + parseDecimal(t[1])
			s[k].discount += parseDecimal(t[1])
			s[k].tax += parseDecimal(t[2])
		}
	}
	part := func(k int, shipping string) Sum {
		total := s[k].subtotal - s[k].discount + s[k].tax + parseDecimal(shipping)
		return Sum{Subtotal: s[k].subtotal.String(), Discount: (-s[k].discount).String(), Shipping: shipping, Tax: s[k].tax.String(), Total: total.String()}
	}
	return &Sums{Of: part(0, o.Totals.Shipping), Base: part(1, o.BaseTotals.Shipping)}
}

// invoice charges the lines for which share is not 0, and the shipping.
func (g *orderGenerator) invoice(o *Order, share func(*Line) decimal) {
	o.Invoiced = sumUp(o, func(l *Line) bool { return share(l) != 0 })
	each(o, func(l *Line, n decimal) {
		if share(l) != 0 {
			l.Invoiced, l.RowInvoiced, l.BaseRowInvoiced = n.String(), l.RowTotal, l.BaseRowTotal
		}
	})
	o.Due = (parseDecimal(o.Totals.Grand) - parseDecimal(o.Invoiced.Of.Total)).String()
	o.BaseDue = (parseDecimal(o.BaseTotals.Grand) - parseDecimal(o.Invoiced.Base.Total)).String()
}

// refund gives the money of the lines that take part back.
func (g *orderGenerator) refund(o *Order, takes func(*Line) bool, shipping bool) {
	o.Refunded = sumUp(o, takes)
	if !shipping {
		for _, s := range []*Sum{&o.Refunded.Of, &o.Refunded.Base} {
			s.Total = (parseDecimal(s.Total) - parseDecimal(s.Shipping)).String()
			s.Shipping = "0"
		}
	}
	each(o, func(l *Line, n decimal) {
		if takes(l) {
			l.Refunded, l.AmountRefunded, l.BaseAmountRefunded = n.String(), l.RowTotal, l.BaseRowTotal
		}
	})
	g.comments++
	amount := strings.Replace(o.Refunded.Base.Total, ".", ",", 1)
	o.History = append(o.History, Comment{
		ID: g.comments, At: o.UpdatedAt, Text: "We refunded € " + amount + " offline.", Entity: "creditmemo", Status: o.Status,
	})
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
