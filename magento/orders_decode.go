package magento

import (
	"encoding/json"
	"strings"
	"time"
)

// wireOrder is an order as printed.
type wireOrder struct {
	ID              integer `json:"entity_id"`
	IncrementID     text    `json:"increment_id"`
	StoreID         integer `json:"store_id"`
	StoreName       text    `json:"store_name"`
	QuoteID         integer `json:"quote_id"`
	State           text    `json:"state"`
	Status          text    `json:"status"`
	CreatedAt       moment  `json:"created_at"`
	UpdatedAt       moment  `json:"updated_at"`
	CustomerID      integer `json:"customer_id"`
	Guest           boolean `json:"customer_is_guest"`
	CustomerGroupID integer `json:"customer_group_id"`
	Email           text    `json:"customer_email"`
	FirstName       text    `json:"customer_firstname"`
	MiddleName      text    `json:"customer_middlename"`
	LastName        text    `json:"customer_lastname"`
	Prefix          text    `json:"customer_prefix"`
	Suffix          text    `json:"customer_suffix"`
	Gender          text    `json:"customer_gender"`
	BirthDate       text    `json:"customer_dob"`
	TaxVAT          text    `json:"customer_taxvat"`
	Currency        text    `json:"order_currency_code"`
	BaseCurrency    text    `json:"base_currency_code"`
	Subtotal        Decimal `json:"subtotal"`
	Discount        Decimal `json:"discount_amount"`
	Shipping        Decimal `json:"shipping_amount"`
	Tax             Decimal `json:"tax_amount"`
	GrandTotal      Decimal `json:"grand_total"`
	Paid            Decimal `json:"total_paid"`
	Due             Decimal `json:"total_due"`
	Refunded        Decimal `json:"total_refunded"`
	Canceled        Decimal `json:"total_canceled"`
	BaseGrandTotal  Decimal `json:"base_grand_total"`
	Quantity        Decimal `json:"total_qty_ordered"`
	Weight          Decimal `json:"weight"`
	CouponCode      text    `json:"coupon_code"`
	RemoteIP        text    `json:"remote_ip"`
	Description     text    `json:"shipping_description"`
	Virtual         boolean `json:"is_virtual"`

	Items     *several[wireLine]  `json:"items"`
	Billing   loose[wireAddress]  `json:"billing_address"`
	Payment   loose[wirePayment]  `json:"payment"`
	Extension loose[orderDetails] `json:"extension_attributes"`
}

type orderDetails struct {
	Assignments several[loose[assignment]] `json:"shipping_assignments"`
	PaymentInfo several[struct {
		Key   text `json:"key"`
		Value text `json:"value"`
	}] `json:"payment_additional_info"`
}

type assignment struct {
	Shipping loose[struct {
		Address loose[wireAddress] `json:"address"`
	}] `json:"shipping"`
}

type wirePayment struct {
	Method text `json:"method"`
}

type wireAddress struct {
	ID         integer `json:"entity_id"`
	Email      text    `json:"email"`
	FirstName  text    `json:"firstname"`
	MiddleName text    `json:"middlename"`
	LastName   text    `json:"lastname"`
	Prefix     text    `json:"prefix"`
	Suffix     text    `json:"suffix"`
	Company    text    `json:"company"`
	Street     street  `json:"street"`
	Postcode   text    `json:"postcode"`
	City       text    `json:"city"`
	Region     text    `json:"region"`
	CountryID  text    `json:"country_id"`
	Telephone  text    `json:"telephone"`
	Fax        text    `json:"fax"`
}

type wireLine struct {
	ID              integer              `json:"item_id"`
	ParentID        integer              `json:"parent_item_id"`
	ProductID       integer              `json:"product_id"`
	Type            text                 `json:"product_type"`
	SKU             text                 `json:"sku"`
	Name            text                 `json:"name"`
	Virtual         boolean              `json:"is_virtual"`
	Quantity        Decimal              `json:"qty_ordered"`
	Invoiced        Decimal              `json:"qty_invoiced"`
	Shipped         Decimal              `json:"qty_shipped"`
	Refunded        Decimal              `json:"qty_refunded"`
	Canceled        Decimal              `json:"qty_canceled"`
	Price           Decimal              `json:"price"`
	PriceInclTax    Decimal              `json:"price_incl_tax"`
	RowTotal        Decimal              `json:"row_total"`
	RowTotalInclTax Decimal              `json:"row_total_incl_tax"`
	Discount        Decimal              `json:"discount_amount"`
	Tax             Decimal              `json:"tax_amount"`
	Weight          Decimal              `json:"weight"`
	CreatedAt       moment               `json:"created_at"`
	UpdatedAt       moment               `json:"updated_at"`
	Option          loose[productOption] `json:"product_option"`
}

type productOption struct {
	Extension loose[struct {
		Configurable several[wireOption] `json:"configurable_item_options"`
		Custom       several[wireOption] `json:"custom_options"`
		Bundle       several[wireOption] `json:"bundle_options"`
	}] `json:"extension_attributes"`
}

// wireOption is a choice. A bundle's has a list of selections in the place of a value.
type wireOption struct {
	ID         text `json:"option_id"`
	Value      text `json:"option_value"`
	Selections text `json:"option_selections"`
}

// loose is an object for which PHP prints [] or null when it is empty.
type loose[T any] struct {
	Value T
	Given bool
}

func (l *loose[T]) UnmarshalJSON(b []byte) error {
	*l = loose[T]{}
	switch {
	case b[0] == '{':
		l.Given = true
		return json.Unmarshal(b, &l.Value)
	case string(b) == "null" || b[0] == '[' && len(strings.TrimSpace(string(b[1:len(b)-1]))) == 0:
		return nil
	default:
		return errKind
	}
}

// several is a list, null, or an object of its elements when PHP's keys have gaps.
type several[T any] []T

func (s *several[T]) UnmarshalJSON(b []byte) error {
	*s = nil
	switch {
	case b[0] == '[':
		return json.Unmarshal(b, (*[]T)(s))
	case string(b) == "null":
		return nil
	case b[0] == '{':
		f := newFrames(strings.NewReader(string(b)))
		return f.object(func(string) error {
			raw, _, err := f.value()
			if err != nil {
				return err
			}
			var one T
			if err := json.Unmarshal(raw, &one); err != nil {
				return err
			}
			*s = append(*s, one)
			return nil
		})
	default:
		return errKind
	}
}

// street is an address's lines; older data has one text.
type street string

func (s *street) UnmarshalJSON(b []byte) error {
	if b[0] != '[' {
		return (*text)(s).UnmarshalJSON(b)
	}
	var lines []text
	if json.Unmarshal(b, &lines) != nil {
		return errKind
	}
	*s = ""
	for i, line := range lines {
		if i > 0 {
			*s += "\n"
		}
		*s += street(line)
	}
	return nil
}

func decodeOrder() func(raw []byte, size int64) Item[Order] {
	return func(raw []byte, size int64) Item[Order] {
		var wire wireOrder
		if e := decodeItem(raw, size, &wire); e != nil {
			return unread[Order](raw, e, "entity_id")
		}
		o := wire.order()
		return Item[Order]{ID: o.ID, UpdatedAt: o.UpdatedAt, Value: o}
	}
}

func (w *wireOrder) order() Order {
	o := Order{
		ID: int64(w.ID), IncrementID: string(w.IncrementID), StoreID: int64(w.StoreID), StoreName: string(w.StoreName),
		QuoteID: int64(w.QuoteID), State: string(w.State), Status: string(w.Status),
		CreatedAt: time.Time(w.CreatedAt), UpdatedAt: time.Time(w.UpdatedAt),
		CustomerID: int64(w.CustomerID), Guest: bool(w.Guest), CustomerGroupID: int64(w.CustomerGroupID),
		Email: string(w.Email), FirstName: string(w.FirstName), MiddleName: string(w.MiddleName), LastName: string(w.LastName),
		Prefix: string(w.Prefix), Suffix: string(w.Suffix), Gender: string(w.Gender), BirthDate: string(w.BirthDate), TaxVAT: string(w.TaxVAT),
		Currency: string(w.Currency), Subtotal: w.Subtotal, Discount: w.Discount, Shipping: w.Shipping, Tax: w.Tax,
		GrandTotal: w.GrandTotal, Paid: w.Paid, Due: w.Due, Refunded: w.Refunded, Canceled: w.Canceled,
		BaseCurrency: string(w.BaseCurrency), BaseGrandTotal: w.BaseGrandTotal, Quantity: w.Quantity, Weight: w.Weight,
		CouponCode: string(w.CouponCode), RemoteIP: string(w.RemoteIP), ShippingDescription: string(w.Description), Virtual: bool(w.Virtual),
		BillingAddress: w.Billing.Value.address(),
		Payment:        Payment{Method: string(w.Payment.Value.Method)},
	}
	details := &w.Extension.Value
	for _, info := range details.PaymentInfo {
		if info.Key == "method_title" {
			o.Payment.Title = string(info.Value)
		}
	}
	if len(details.Assignments) > 0 {
		if address := details.Assignments[0].Value.Shipping.Value.Address; address.Given {
			o.ShippingAddress = new(address.Value.address())
		}
	}
	if w.Items != nil {
		o.Lines, o.LinesKnown = fold(*w.Items), true
	}
	return o
}

func (w *wireAddress) address() OrderAddress {
	return OrderAddress{
		ID: int64(w.ID), Email: string(w.Email),
		FirstName: string(w.FirstName), MiddleName: string(w.MiddleName), LastName: string(w.LastName),
		Prefix: string(w.Prefix), Suffix: string(w.Suffix), Company: string(w.Company), Street: string(w.Street),
		Postcode: string(w.Postcode), City: string(w.City), Region: string(w.Region), CountryID: string(w.CountryID),
		Telephone: string(w.Telephone), Fax: string(w.Fax),
	}
}

// fold puts children into their parents. A child whose parent is not there stays a
// line of its own: nothing that was ordered is lost.
func fold(printed []wireLine) []Line {
	lines := make([]Line, 0, len(printed))
	at := make(map[integer]int, len(printed))
	for i := range printed {
		if w := &printed[i]; w.ParentID == 0 {
			at[w.ID] = len(lines)
			lines = append(lines, w.line())
		}
	}
	for i := range printed {
		w := &printed[i]
		if w.ParentID == 0 {
			continue
		}
		parent, ok := at[w.ParentID]
		if !ok {
			lines = append(lines, w.line())
			continue
		}
		lines[parent].Children = append(lines[parent].Children, Child{
			ID: int64(w.ID), ProductID: int64(w.ProductID), SKU: string(w.SKU), Name: string(w.Name), Quantity: w.Quantity,
		})
	}
	for i := range lines {
		if l := &lines[i]; len(l.Children) == 1 && l.Children[0].SKU != "" {
			l.SKU = l.Children[0].SKU
		}
	}
	return lines
}

func (w *wireLine) line() Line {
	l := Line{
		ID: int64(w.ID), ProductID: int64(w.ProductID), Type: string(w.Type), SKU: string(w.SKU), Name: string(w.Name), Virtual: bool(w.Virtual),
		Quantity: w.Quantity, Invoiced: w.Invoiced, Shipped: w.Shipped, Refunded: w.Refunded, Canceled: w.Canceled,
		Price: w.Price, PriceInclTax: w.PriceInclTax, RowTotal: w.RowTotal, RowTotalInclTax: w.RowTotalInclTax,
		Discount: w.Discount, Tax: w.Tax, Weight: w.Weight,
		CreatedAt: time.Time(w.CreatedAt), UpdatedAt: time.Time(w.UpdatedAt),
	}
	chosen := &w.Option.Value.Extension.Value
	for _, all := range []several[wireOption]{chosen.Configurable, chosen.Custom, chosen.Bundle} {
		for _, o := range all {
			value := o.Value
			if value == "" {
				value = o.Selections
			}
			l.Options = append(l.Options, Option{ID: string(o.ID), Value: string(value)})
		}
	}
	return l
}
