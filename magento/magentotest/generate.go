package magentotest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// The people are made up. Their names hold what trips a careless reader: letters of
// several alphabets, particles, apostrophes, quotes, ampersands.
var (
	firstNames  = []string{"Jan", "Zoë", "Fatma", "Ståle", "Anne-Marie", "José", "Øyvind", "Łukasz", "Ekaterina", "Σωκράτης", "李", "Noël", "Çağla", "محمد", "D'Arcy", "Björk", "Siân", "Sanne", "Emma", "Kees"}
	lastNames   = []string{"Vries", "O’Brien", "O'Neill", "Ångström-Müller", "Bakker", "García Márquez", "Sørensen", "Wójcik", "Иванова", "Παπαδόπουλος", "小明", "İnönü", "d'Artagnan", "Smit & Zn.", "van 't Hoff", "Jansen", "Visser", "Peeters", "Nuñez", "Dupré"}
	middleNames = []string{"van der", "de", "van", "ten", "el"}
	prefixes    = []string{"Dhr.", "Mevr.", "Dr."}
	cities      = []string{"Amsterdam", "Gent", "’s-Hertogenbosch", "Köln", "London", "Łódź", "Reykjavík"}
	streets     = []string{"Keizersgracht", "Korenmarkt", "Straatweg", "Hauptstraße", "Rue de l’Église", "High Street"}
	companies   = []string{"ACME “BV”", "Bloem & Blad", "Øst A/S"}
	colors      = []string{"4", "5", "6", "7"}
)

// generate returns n customers by id, the same for the same seed, with the newest
// updated_at at start. Optional fields are absent as often as in the 700 recorded ones.
func generate(seed uint64, n int, start time.Time) []Customer {
	g := generator{rand: rand.New(rand.NewPCG(seed, 0x6d6167656e746f)), start: start}
	all := make([]Customer, n)
	for i := range all {
		all[i] = g.customer(i, n)
	}
	g.crowd(all)
	share(all)
	if n > 0 {
		all[n-1].UpdatedAt = start
	}
	return all
}

type generator struct {
	rand    *rand.Rand
	start   time.Time
	id      int64
	address int64
}

// chance is true in so many of a hundred cases.
func (g *generator) chance(percent float64) bool { return g.rand.Float64()*100 < percent }

func (g *generator) pick(from []string) string { return from[g.rand.IntN(len(from))] }

// customer makes the i-th of n. Ids have gaps, as deletions leave them, and grow with
// the date of registration: 400 days, the last of them two days before start.
func (g *generator) customer(i, n int) Customer {
	g.id++
	if g.chance(2) {
		g.id += g.rand.Int64N(3) + 1
	}
	const span = 398 * 24 * 60 * 60
	created := g.start.Add(-400 * 24 * time.Hour).Add(time.Duration(int64(i)*span/int64(n)) * time.Second)
	c := Customer{
		ID: g.id, WebsiteID: 1, StoreID: 1, GroupID: 1,
		CreatedAt: created, UpdatedAt: created,
		FirstName: g.pick(firstNames), LastName: g.pick(lastNames),
	}
	switch {
	case g.chance(25):
		c.WebsiteID, c.StoreID = 2, 4
	case g.chance(30):
		c.StoreID = 3
	}
	c.CreatedIn = view(c.StoreID).Name
	if g.chance(20) {
		c.GroupID = 2 + g.rand.Int64N(4)
	}
	if g.chance(60) {
		age := int64(g.start.Sub(created) / time.Second)
		c.UpdatedAt = created.Add(time.Duration(g.rand.Int64N(age)) * time.Second)
	}
	c.Email = g.email()
	g.optional(&c)
	if g.chance(90) {
		g.addresses(&c)
	}
	c.NewsletterStatus = g.newsletter(i)
	return c
}

// email returns an address that no other customer has.
func (g *generator) email() string {
	switch g.rand.IntN(10) {
	case 0:
		return fmt.Sprintf("Klant+promo%05d@Example.test", g.id)
	case 1:
		return fmt.Sprintf("o'brien.%05d@sub.example.test", g.id)
	case 2:
		return fmt.Sprintf("zoe_%05d@sub.example.test", g.id)
	default:
		return fmt.Sprintf("klant%05d@example.test", g.id)
	}
}

func (g *generator) optional(c *Customer) {
	if g.chance(14) {
		c.MiddleName = g.pick(middleNames)
	}
	if g.chance(28) {
		c.Prefix = g.pick(prefixes)
	}
	if g.chance(63) {
		c.Gender = 1 + g.rand.Int64N(3)
	}
	if g.chance(52) {
		c.DOB = time.Date(1940+g.rand.IntN(65), time.Month(1+g.rand.IntN(12)), 1+g.rand.IntN(28), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	}
	if g.chance(0.5) {
		c.TaxVAT = fmt.Sprintf("NL%09dB01", g.rand.IntN(1e9))
	}
	if g.chance(0.5) {
		c.Confirmation = fmt.Sprintf("%016x%016x", g.rand.Uint64(), g.rand.Uint64())
	}
	if !g.chance(99) {
		return
	}
	c.Attributes = append(c.Attributes, Attribute{"loyalty_code", fmt.Sprintf("LOY-%06d", c.ID)})
	if g.chance(60) {
		c.Attributes = append(c.Attributes, Attribute{"loyalty_points", fmt.Sprint(g.rand.IntN(5000))})
	}
	c.Attributes = append(c.Attributes, Attribute{"opt_in_profiling", fmt.Sprint(g.rand.IntN(2))}, Attribute{"fav_color", g.pick(colors)})
	if g.chance(50) {
		c.Attributes = append(c.Attributes, Attribute{"interests", "8,9"}, Attribute{"last_visit_on", "2026-03-01 00:00:00"})
	}
}

func (g *generator) addresses(c *Customer) {
	for range 1 + g.rand.IntN(5)/4 {
		g.address++
		a := Address{
			ID: g.address, CountryID: "NL", Postcode: fmt.Sprintf("%04d AA", 1000+g.rand.IntN(9000)), City: g.pick(cities),
			Street: []string{g.pick(streets) + " " + fmt.Sprint(1+g.rand.IntN(250))}, Telephone: "+31 20 555 0101",
			FirstName: c.FirstName, LastName: c.LastName, RegionKey: g.chance(1),
		}
		if g.chance(18) {
			a.Company = g.pick(companies)
		}
		if g.chance(20) {
			a.Street = append(a.Street, "2-hoog")
		}
		if c.DefaultBilling == 0 {
			a.DefaultBilling, a.DefaultShipping = true, true
			c.DefaultBilling, c.DefaultShipping = a.ID, a.ID
		}
		c.Addresses = append(c.Addresses, a)
	}
}

// newsletter gives the first customers one status each, so that none is missing.
func (g *generator) newsletter(i int) int {
	p := g.rand.Float64() * 100
	switch {
	case i <= Unconfirmed:
		return i
	case p < 30:
		return NoSubscriber
	case p < 74:
		return Subscribed
	case p < 77:
		return NotActive
	case p < 95:
		return Unsubscribed
	default:
		return Unconfirmed
	}
}

// crowd moves a tenth of the customers, at least 200 of a thousand, into one second,
// as an import or a mass edit does.
func (g *generator) crowd(all []Customer) {
	size := len(all) / 10
	if len(all) >= 1000 {
		size = max(size, 200)
	}
	second := g.start.Add(-36 * time.Hour)
	for _, i := range g.rand.Perm(len(all))[:size] {
		all[i].UpdatedAt = second
	}
}

// share gives customers of the second website the e-mail of one of the first, with
// another newsletter status: a tenth of 200 customers, at least 20 of more.
func share(all []Customer) {
	size := len(all) / 10
	if len(all) >= 200 {
		size = max(20, len(all)/500)
	}
	var first, second []int
	for i, c := range all {
		if c.WebsiteID == 1 {
			first = append(first, i)
		} else {
			second = append(second, i)
		}
	}
	size = min(size, len(first), len(second))
	for n := range size {
		a, b := &all[first[n*len(first)/size]], &all[second[n*len(second)/size]]
		b.Email = a.Email
		if n%3 == 0 {
			// The database compares without case, so these are one address to the newsletter.
			b.Email = strings.ToUpper(a.Email[:1]) + a.Email[1:]
		}
		a.NewsletterStatus, b.NewsletterStatus = Subscribed, []int{NoSubscriber, Unsubscribed, Unconfirmed}[n%3]
		if n%2 == 1 {
			a.NewsletterStatus, b.NewsletterStatus = b.NewsletterStatus, a.NewsletterStatus
		}
	}
}
