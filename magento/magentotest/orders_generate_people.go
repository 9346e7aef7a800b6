package magentotest

import (
	"fmt"
	"slices"
	"strings"
)

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
