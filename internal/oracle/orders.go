package oracle

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/magento-copernica/syncd/magento/magentotest"
)

// Orders is what the orders of a shop make of an account, beside the profiles of
// [Expect].
//
// # The table
//
// This is what a mapping of orders follows. Names and collections are those of the
// old extension; amounts are typed. `order` is an object of GET orders, `line` one of its
// items[] without parent_item_id, `child` one that has it. SHOP is the shop's code. An
// amount that is absent is 0. Amounts are in the order's currency, not the base one.
// Texts longer than their field are cut to that many characters. Times are wall times
// of Europe/Amsterdam unless configured.
//
// Collection Orders:
//
//	order_id            text 64, index   SHOP-o<order.entity_id>
//	quote_id            text 64, index   SHOP-q<order.quote_id>; "" without one
//	incrementId         text 50          order.increment_id
//	quantity            float            order.total_qty_ordered
//	shipping            float            order.shipping_amount
//	total               float            order.grand_total
//	weight              float            order.weight
//	currency            text 10          order.order_currency_code
//	status              text 50          order.status
//	storeView           text 250         "Website > Store group > Store view" by order.store_id; of a store view
//	                                     that is gone order.store_name, its lines joined by " > "
//	remoteIp            text 50          order.remote_ip
//	shippingDescription text 250         order.shipping_description
//	paymentDescription  text 250         method_title of extension_attributes.payment_additional_info, else payment.method
//	shippingAddressId   text 64          SHOP-oa<entity_id> of extension_attributes.shipping_assignments[0].shipping.address;
//	                                     "" without one
//	billingAddressId    text 64          SHOP-oa<order.billing_address.entity_id>; "" without one
//	couponCode          text 250         order.coupon_code
//	createdAt           datetime         order.created_at
//
// Collection Orders_Items:
//
//	item_id             text 64, index   SHOP-i<line.item_id>
//	order_id            text 64, index   SHOP-o<order.entity_id>
//	productId           integer          line.product_id
//	incrementId         text 50          order.increment_id
//	name                text 250         line.name
//	sku                 text 250         child.sku when the line has exactly one child with one, else line.sku
//	weight              float            line.weight
//	quantity            float            line.qty_ordered
//	price               float            line.price
//	totalPrice          float            line.row_total
//	status              text 50          ordered; canceled or refunded when nothing is left: qty_canceled and
//	                                     qty_refunded together are not less than a qty_ordered above 0. Refunded
//	                                     when any of it was
//	storeView           text 250         as in Orders
//	options             big              "<option_id>: <option_value>" of the line's product_option, one a line
//	createdAt           datetime         line.created_at
//
// Left out of the old extension's fields are those that orders do not tell over REST
// (trackAndTrace, attributeSet, url, image, categories, attributes, salesRules), and
// updatedAt: a customer's new e-mail moves it in all their orders, which must cost no
// write.
//
// A row belongs to the profile of the order's customer, or of the guest. An order has
// no rows when that profile cannot be made, and when nobody owns it: no customer_id and
// customer_is_guest 0. If it was delivered before its customer was deleted, it stays
// with the profile it had: [Options.Owners].
//
// A guest is a customer when one of the website has the same e-mail, in lower case
// without outer blanks, and has confirmed it (no `confirmation`): then the guest has no
// profile, and the order's rows belong to that customer's. Once it was so it stays,
// whatever e-mail the customer takes: [Options.Claims].
//
// A guest's profile has the key SHOP-w<website of order.store_id>-g<32 hex digits>, those
// of the SHA-256 of the e-mail in lower case without outer blanks (promise 17). Its
// other fields come from the guest's order with the latest (updated_at, entity_id):
//
//	customer_id                      the key
//	email                            order.customer_email as printed; 1 to 160 characters, else no profile
//	firstname, middlename, lastname  order.customer_*; without first and last name those of billing_address
//	gender, birthdate                order.customer_gender, order.customer_dob, as a customer's
//	group                            by order.customer_group_id, as a customer's
//	registrationDate                 0000-00-00 00:00:00: a guest never registered
//	storeView                        as in Orders
//	newsletter                       never sent, so "", or what an opt-out in Copernica wrote: the shop does not
//	                                 tell a guest's consent over REST
type Orders struct {
	Guests        []Row // by key
	Orders, Items []SubRow
}

// SubRow is a subprofile that must be there exactly once.
type SubRow struct {
	Key    string // value of order_id, or item_id in Orders_Items
	Parent string // customer_id of its profile
	Fields map[string]string
}

// KeyOrders and KeyItems are the key fields of the two collections.
const (
	KeyOrders = "order_id"
	KeyItems  = "item_id"
)

const (
	keyLength    = 64
	shortLength  = 50
	currencySize = 10
)

// ExpectOrders returns what the shop's orders make. Rows are ordered by key.
func ExpectOrders(shop magentotest.Data, opts Options) Orders {
	opts = opts.complete()
	e := ordersExpected{opts: opts, views: storeViews(shop), groups: map[int64]string{}, websites: map[int64]int64{}, owners: map[int64]string{}, accounts: map[string]string{}}
	for _, g := range shop.CustomerGroups {
		e.groups[g.ID] = g.Code
	}
	for _, v := range shop.Views {
		e.websites[v.ID] = v.WebsiteID
	}
	first, _ := firsts(shop, opts)
	for _, c := range shop.Customers {
		if deliverable(c) {
			e.owners[c.ID] = fmt.Sprintf("%s-c%d", opts.Shop, first[c.ID])
			if c.Confirmation == "" {
				e.accounts[e.guestKey(c.WebsiteID, c.Email)] = e.owners[c.ID]
			}
		}
	}
	latest := map[string]magentotest.Order{}
	var out Orders
	for _, o := range shop.Orders {
		owner := e.owner(o)
		if owner == "" {
			continue
		}
		if o.Guest && owner == e.guestKey(e.websites[o.StoreID], o.Email) {
			if old, ok := latest[owner]; !ok || cmp.Or(o.UpdatedAt.Compare(old.UpdatedAt), cmp.Compare(o.ID, old.ID)) > 0 {
				latest[owner] = o
			}
		}
		out.Orders = append(out.Orders, SubRow{Key: e.key("o", o.ID), Parent: owner, Fields: e.order(o)})
		for _, l := range o.Lines {
			if l.ParentID == 0 {
				out.Items = append(out.Items, SubRow{Key: e.key("i", l.ID), Parent: owner, Fields: e.item(o, l)})
			}
		}
	}
	for key, o := range latest {
		out.Guests = append(out.Guests, Row{Key: key, Fields: e.guest(key, o)})
	}
	slices.SortFunc(out.Guests, func(x, y Row) int { return strings.Compare(x.Key, y.Key) })
	for _, rows := range [][]SubRow{out.Orders, out.Items} {
		slices.SortFunc(rows, func(x, y SubRow) int { return strings.Compare(x.Key, y.Key) })
	}
	return out
}

// ordersExpected is what the rows of one shop have in common.
type ordersExpected struct {
	opts     Options
	views    map[int64]string
	groups   map[int64]string
	websites map[int64]int64   // by store view
	owners   map[int64]string  // profile keys by customer
	accounts map[string]string // profile keys of customers with a confirmed e-mail, by the key of its guest
}

func (e *ordersExpected) key(kind string, id int64) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprintf("%s-%s%d", e.opts.Shop, kind, id)
}

// owner returns the key of the profile that an order belongs to, "" if there is none.
func (e *ordersExpected) owner(o magentotest.Order) string {
	switch {
	case o.Guest:
		plain := strings.ToLower(strings.TrimSpace(o.Email))
		if plain == "" || utf8.RuneCountInString(o.Email) > emailLength || !utf8.ValidString(o.Email) {
			return ""
		}
		guest := e.guestKey(e.websites[o.StoreID], o.Email)
		claimed, known := e.opts.Claims[guest]
		if !known {
			claimed = e.accounts[guest]
		}
		return cmp.Or(claimed, guest)
	case o.CustomerID != 0:
		return e.owners[o.CustomerID]
	default:
		return e.opts.Owners[o.ID]
	}
}

// guestKey is the key of the profile of a website's guest.
func (e *ordersExpected) guestKey(website int64, email string) string {
	if e.opts.OneByEmail {
		website = 0
	}
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(email))))
	return fmt.Sprintf("%s-w%d-g%s", e.opts.Shop, website, hex.EncodeToString(sum[:])[:32])
}

func (e *ordersExpected) guest(key string, o magentotest.Order) map[string]string {
	first, last := o.FirstName, o.LastName
	if first == "" && last == "" {
		first, last = o.Billing.FirstName, o.Billing.LastName
	}
	consent := ""
	if e.opts.Unsubscribed[key] {
		consent = newsletter(0, true)
	}
	return map[string]string{
		"customer_id":      key,
		"email":            o.Email,
		"firstname":        cut(first),
		"middlename":       cut(o.MiddleName),
		"lastname":         cut(last),
		"gender":           gender(o.Gender),
		"group":            cut(e.groups[o.CustomerGroupID]),
		"birthdate":        birthdate(o.DOB),
		"registrationDate": registered(time.Time{}, e.opts.Zone),
		"storeView":        e.storeView(o),
		"newsletter":       consent,
	}
}

// storeView names the store view of an order, from its own memory when that is gone.
func (e *ordersExpected) storeView(o magentotest.Order) string {
	name, ok := e.views[o.StoreID]
	if !ok {
		name = strings.ReplaceAll(o.StoreName, "\n", " > ")
	}
	return cut(name)
}

func (e *ordersExpected) order(o magentotest.Order) map[string]string {
	shipping := int64(0)
	if o.Shipping != nil {
		shipping = o.Shipping.ID
	}
	return map[string]string{
		"order_id":            e.key("o", o.ID),
		"quote_id":            e.key("q", o.QuoteID),
		"incrementId":         cutTo(o.IncrementID, shortLength),
		"quantity":            float(o.Quantity),
		"shipping":            float(o.Totals.Shipping),
		"total":               float(o.Totals.Grand),
		"weight":              float(o.Weight),
		"currency":            cutTo(o.Currency, currencySize),
		"status":              cutTo(o.Status, shortLength),
		"storeView":           e.storeView(o),
		"remoteIp":            cutTo(o.RemoteIP, shortLength),
		"shippingDescription": cut(o.ShippingDescription),
		"paymentDescription":  cut(cmp.Or(o.PaymentTitle, o.PaymentMethod)),
		"shippingAddressId":   cutTo(e.key("oa", shipping), keyLength),
		"billingAddressId":    cutTo(e.key("oa", o.Billing.ID), keyLength),
		"couponCode":          cut(o.CouponCode),
		"createdAt":           registered(o.CreatedAt, e.opts.Zone),
	}
}

func (e *ordersExpected) item(o magentotest.Order, l magentotest.Line) map[string]string {
	sku, children := l.SKU, 0
	for _, child := range o.Lines {
		if child.ParentID == l.ID {
			children++
			sku = cmp.Or(child.SKU, l.SKU)
		}
	}
	if children != 1 {
		sku = l.SKU
	}
	var options []string
	for _, option := range l.Options {
		options = append(options, fmt.Sprintf("%s: %d", option.ID, option.Value))
	}
	return map[string]string{
		"item_id":     e.key("i", l.ID),
		"order_id":    e.key("o", o.ID),
		"productId":   fmt.Sprint(l.ProductID),
		"incrementId": cutTo(o.IncrementID, shortLength),
		"name":        cut(l.Name),
		"sku":         cut(sku),
		"weight":      float(l.Weight),
		"quantity":    float(l.Ordered),
		"price":       float(l.Price),
		"totalPrice":  float(l.RowTotal),
		"status":      lineStatus(l),
		"storeView":   e.storeView(o),
		"options":     strings.Join(options, "\n"),
		"createdAt":   registered(l.CreatedAt, e.opts.Zone),
	}
}

// lineStatus says whether anything is left of a line.
func lineStatus(l magentotest.Line) string {
	ordered, refunded := units(l.Ordered), units(l.Refunded)
	switch {
	case ordered <= 0 || units(l.Canceled)+refunded < ordered:
		return "ordered"
	case refunded > 0:
		return "refunded"
	default:
		return "canceled"
	}
}

// units reads a quantity in ten-thousandths, the precision of the shop's columns.
func units(quantity string) int64 {
	whole, fraction, _ := strings.Cut(quantity, ".")
	n := int64(0)
	for _, digit := range whole + (fraction + "0000")[:4] {
		if digit >= '0' && digit <= '9' {
			n = n*10 + int64(digit-'0')
		}
	}
	return n
}

// float prints an exact amount as a float field shows it.
func float(amount string) string {
	if strings.Contains(amount, ".") {
		amount = strings.TrimRight(strings.TrimRight(amount, "0"), ".")
	}
	if amount == "" || amount == "-0" {
		return "0"
	}
	return amount
}

func cutTo(s string, length int) string {
	if utf8.RuneCountInString(s) <= length {
		return s
	}
	return string([]rune(s)[:length])
}
