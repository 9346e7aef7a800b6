// Package oracle says what Copernica must hold once a shop is in step, and finds
// where an account differs from that.
//
// It is written from the documented mapping and the facts about both peers alone.
// It shares no code with the clients, the mapping or the engine, only the plain data
// of the two emulators: an error in the product and the same error here would have
// to be made twice.
//
// # What is expected
//
// One profile for each customer whom Copernica can take: with an e-mail address of 1
// to 160 characters, in valid UTF-8, of at most 1 MiB. The others are dead letters.
// Consent is the shop's true newsletter status of that e-mail on the customer's own
// website, whatever a search over all websites says of it, unless the person opted
// out in Copernica: that stays.
//
// What orders make is described at the top of orders.go: [ExpectOrders].
package oracle

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // Amsterdam's rules wherever the tests run
	"unicode/utf8"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// Lengths of the fields in characters, and the size of a record that still travels.
const (
	emailLength = 160
	textLength  = 250
	recordSize  = 1 << 20
)

// Options are what an operator configured, and what people did in Copernica.
type Options struct {
	Shop string         // the shop's code in keys; empty: shop
	Zone *time.Location // of times in Copernica; nil: Europe/Amsterdam

	// Unsubscribed holds the keys of profiles that were unsubscribed in Copernica. They
	// must still show the value written there, whatever the shop says of them.
	Unsubscribed map[string]bool

	// Owners holds the profile keys of orders that were delivered before their customer
	// was deleted, by the order's id.
	Owners map[int64]string

	// Claims holds the profile keys of customers who claimed a guest with an e-mail that
	// they no longer have, by the guest's profile key; an empty one says that the claim was
	// undone, and that the guest is nobody else.
	Claims map[string]string

	// OneByEmail says that accounts with one confirmed e-mail, in lower case without outer
	// blanks, are one person on whichever websites they are. The one with the lowest id has
	// the profile; it is subscribed when each of them is. A guest's website is 0 then.
	OneByEmail bool
}

// firsts returns the customer with the lowest id of those who are the same person, by
// customer, and who of these is subscribed with every account.
func firsts(shop magentotest.Data, opts Options) (first map[int64]int64, subscribed map[int64]bool) {
	first, subscribed = map[int64]int64{}, map[int64]bool{}
	people := map[string]int64{}
	for _, c := range shop.Customers {
		first[c.ID] = c.ID
		if deliverable(c) && c.Confirmation == "" && opts.OneByEmail {
			email := strings.ToLower(strings.TrimSpace(c.Email))
			if one, ok := people[email]; !ok || c.ID < one {
				people[email] = c.ID
			}
		}
	}
	for _, c := range shop.Customers {
		if one, ok := people[strings.ToLower(strings.TrimSpace(c.Email))]; ok && deliverable(c) && c.Confirmation == "" {
			first[c.ID] = one
		}
	}
	for _, c := range shop.Customers {
		one := first[c.ID]
		before, seen := subscribed[one]
		subscribed[one] = c.NewsletterStatus == magentotest.Subscribed && (before || !seen)
	}
	return first, subscribed
}

// complete fills in the defaults.
func (o Options) complete() Options {
	if o.Shop == "" {
		o.Shop = "shop"
	}
	if o.Zone == nil {
		zone, err := time.LoadLocation("Europe/Amsterdam")
		if err != nil {
			panic(fmt.Sprintf("oracle: time zone data compiled in is unreadable: %v", err))
		}
		o.Zone = zone
	}
	return o
}

// Row is a profile that must be there exactly once.
type Row struct {
	Key    string            // value of the field customer_id
	Fields map[string]string // as Copernica prints them; other fields may be there as well
}

// Expect returns the profiles that shop makes, by key.
func Expect(shop magentotest.Data, opts Options) []Row {
	opts = opts.complete()
	groups := map[int64]string{}
	for _, g := range shop.CustomerGroups {
		groups[g.ID] = g.Code
	}
	views := storeViews(shop)

	first, subscribed := firsts(shop, opts)
	var rows []Row
	for _, c := range shop.Customers {
		if !deliverable(c) || first[c.ID] != c.ID {
			continue
		}
		if c.NewsletterStatus == magentotest.Subscribed && !subscribed[c.ID] {
			c.NewsletterStatus = magentotest.NotActive
		}
		key := fmt.Sprintf("%s-c%d", opts.Shop, c.ID)
		rows = append(rows, Row{Key: key, Fields: map[string]string{
			"customer_id":      key,
			"email":            c.Email,
			"firstname":        cut(c.FirstName),
			"middlename":       cut(c.MiddleName),
			"lastname":         cut(c.LastName),
			"gender":           gender(c.Gender),
			"group":            cut(groups[c.GroupID]),
			"birthdate":        birthdate(c.DOB),
			"registrationDate": registered(c.CreatedAt, opts.Zone),
			"storeView":        cut(views[c.StoreID]),
			"newsletter":       newsletter(c.NewsletterStatus, opts.Unsubscribed[key]),
		}})
	}
	slices.SortFunc(rows, func(x, y Row) int { return strings.Compare(x.Key, y.Key) })
	return rows
}

// storeViews names each store view in full: website, store group, store view.
func storeViews(shop magentotest.Data) map[int64]string {
	websites, groups := map[int64]string{}, map[int64]string{}
	for _, w := range shop.Websites {
		websites[w.ID] = w.Name
	}
	for _, g := range shop.Groups {
		groups[g.ID] = g.Name
	}
	names := map[int64]string{}
	for _, v := range shop.Views {
		names[v.ID] = websites[v.WebsiteID] + " > " + groups[v.GroupID] + " > " + v.Name
	}
	return names
}

// deliverable tells customers who become a profile from those who become a dead
// letter.
func deliverable(c magentotest.Customer) bool {
	size := 0
	for _, s := range []string{c.Email, c.FirstName, c.MiddleName, c.LastName} {
		if !utf8.ValidString(s) {
			return false
		}
		size += len(s)
	}
	return c.Email != "" && utf8.RuneCountInString(c.Email) <= emailLength && size <= recordSize
}

// cut shortens a text to what most fields hold.
func cut(s string) string { return cutTo(s, textLength) }

// gender names Magento's option ids.
func gender(option int64) string {
	switch option {
	case 1:
		return "Male"
	case 2:
		return "Female"
	case 3:
		return "Not Specified"
	default:
		return ""
	}
}

// birthdate is the day of a date of birth, which some routes print with a time.
// Copernica's empty date has zeros.
func birthdate(dob string) string {
	if len(dob) < len(time.DateOnly) {
		return "0000-00-00"
	}
	return dob[:len(time.DateOnly)]
}

// registered is a moment as wall time. Two moments an hour apart in the night that
// summer time ends look alike.
func registered(at time.Time, zone *time.Location) string {
	if at.IsZero() {
		return "0000-00-00 00:00:00"
	}
	return at.In(zone).Format(time.DateTime)
}

// newsletter is consent. Only status 1 is one; why there is none cannot be told from
// the REST API, so all other statuses read the same.
func newsletter(status int, unsubscribed bool) string {
	switch {
	case unsubscribed:
		return copernicatest.Unsubscribed
	case status == magentotest.Subscribed:
		return "subscribed"
	default:
		return "not subscribed"
	}
}
