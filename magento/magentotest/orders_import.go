package magentotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// ImportOrders adds orders printed in full by a REST API: one, an array, or an answer
// of orders. One with a known id takes its place. Nothing is added when one of them
// cannot be read.
func (s *Shop) ImportOrders(text []byte) error {
	items := []json.RawMessage{text}
	// One order has items too: its lines.
	var single struct {
		ID json.RawMessage `json:"entity_id"`
	}
	err := json.Unmarshal(text, &single)
	if err != nil || single.ID == nil {
		if items, err = split(text); err != nil {
			return fmt.Errorf("import orders: %w", err)
		}
	}
	all := make([]Order, len(items))
	for i, item := range items {
		if all[i], err = readOrder(item); err != nil {
			return fmt.Errorf("import orders: item %d: %w", i, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range all {
		s.store.orders.put(o)
	}
	return nil
}

// printed is an object as the REST API prints it, its numbers kept as text.
type printed map[string]any

func (p printed) text(name string) string {
	switch v := p[name].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	default:
		return ""
	}
}

func (p printed) number(name string) int64 {
	n, _ := json.Number(p.text(name)).Int64()
	return n
}

func (p printed) time(name string) time.Time {
	t, _ := time.Parse(time.DateTime, p.text(name))
	return t
}

func (p printed) object(path ...string) printed {
	for _, name := range path {
		next, _ := p[name].(map[string]any)
		p = next
	}
	return p
}

func (p printed) objects(name string) []printed {
	var all []printed
	list, _ := p[name].([]any)
	for _, one := range list {
		if o, ok := one.(map[string]any); ok {
			all = append(all, o)
		}
	}
	return all
}

func readOrder(text []byte) (Order, error) {
	var p printed
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&p); err != nil {
		return Order{}, err
	}
	if p.number("entity_id") <= 0 || p.time("updated_at").IsZero() || p.text("increment_id") == "" {
		return Order{}, fmt.Errorf("no order with entity_id, increment_id and updated_at")
	}
	payment := p.object("payment")
	o := Order{
		ID: p.number("entity_id"), StoreID: p.number("store_id"), QuoteID: p.number("quote_id"),
		IncrementID: p.text("increment_id"), StoreName: p.text("store_name"),
		CreatedAt: p.time("created_at"), UpdatedAt: p.time("updated_at"),
		State: p.text("state"), Status: p.text("status"), HoldState: p.text("hold_before_state"), HoldStatus: p.text("hold_before_status"),
		Guest: p.number("customer_is_guest") == 1, CustomerID: p.number("customer_id"), CustomerGroupID: p.number("customer_group_id"),
		Email: p.text("customer_email"), FirstName: p.text("customer_firstname"), LastName: p.text("customer_lastname"),
		MiddleName: p.text("customer_middlename"), Prefix: p.text("customer_prefix"), Suffix: p.text("customer_suffix"),
		TaxVAT: p.text("customer_taxvat"), Gender: p.number("customer_gender"), DOB: p.text("customer_dob"),
		NoteNotify: p.number("customer_note_notify"), EmailSent: p.number("email_sent"),
		CouponCode: p.text("coupon_code"), DiscountDescription: p.text("discount_description"), RuleIDs: p.text("applied_rule_ids"),
		RemoteIP: p.text("remote_ip"), ProtectCode: p.text("protect_code"), Virtual: p.number("is_virtual") == 1,
		ShippingDescription: p.text("shipping_description"), Weight: p.text("weight"), Quantity: p.text("total_qty_ordered"),
		Currency: p.text("order_currency_code"), BaseCurrency: p.text("base_currency_code"), GlobalCurrency: p.text("global_currency_code"),
		ToOrderRate: p.text("base_to_order_rate"), ToGlobalRate: p.text("base_to_global_rate"),
		Totals: p.totals(""), BaseTotals: p.totals("base_"), Due: p.text("total_due"), BaseDue: p.text("base_total_due"),
		Invoiced: p.sums("invoiced"), Refunded: p.sums("refunded"), Canceled: p.sums("canceled"),
		Billing:   readAddress(p.object("billing_address")),
		PaymentID: payment.number("entity_id"), PaymentMethod: payment.text("method"),
	}
	extension := p.object("extension_attributes")
	for _, info := range extension.objects("payment_additional_info") {
		if info.text("key") == "method_title" {
			o.PaymentTitle = info.text("value")
		}
	}
	for _, a := range extension.objects("shipping_assignments") {
		shipping := a.object("shipping")
		o.ShippingMethod = shipping.text("method")
		if address := shipping.object("address"); address != nil {
			o.Shipping = new(readAddress(address))
		}
	}
	for _, l := range p.objects("items") {
		o.Lines = append(o.Lines, readLine(l))
	}
	for _, c := range p.objects("status_histories") {
		o.History = append(o.History, Comment{
			ID: c.number("entity_id"), At: c.time("created_at"), Text: c.text("comment"), Status: c.text("status"), Entity: c.text("entity_name"),
			Notified: c.number("is_customer_notified"), Visible: c.number("is_visible_on_front"),
		})
	}
	return o, nil
}

func (p printed) totals(prefix string) Totals {
	return Totals{
		Subtotal: p.text(prefix + "subtotal"), SubtotalInclTax: p.text(prefix + "subtotal_incl_tax"),
		Discount: p.text(prefix + "discount_amount"), Shipping: p.text(prefix + "shipping_amount"),
		ShippingInclTax: p.text(prefix + "shipping_incl_tax"), ShippingTax: p.text(prefix + "shipping_tax_amount"),
		Tax: p.text(prefix + "tax_amount"), Grand: p.text(prefix + "grand_total"),
	}
}

func (p printed) sums(what string) *Sums {
	if _, ok := p["total_"+what]; !ok {
		return nil
	}
	part := func(prefix string) Sum {
		return Sum{
			Subtotal: p.text(prefix + "subtotal_" + what), Discount: p.text(prefix + "discount_" + what),
			Shipping: p.text(prefix + "shipping_" + what), Tax: p.text(prefix + "tax_" + what), Total: p.text(prefix + "total_" + what),
		}
	}
	return &Sums{Of: part(""), Base: part("base_")}
}

func readAddress(p printed) OrderAddress {
	_, region := p["region_id"]
	_, customer := p["customer_id"]
	a := OrderAddress{
		ID: p.number("entity_id"), Email: p.text("email"), FirstName: p.text("firstname"), LastName: p.text("lastname"),
		Company: p.text("company"), Telephone: p.text("telephone"), CountryID: p.text("country_id"),
		Postcode: p.text("postcode"), City: p.text("city"), RegionKey: region, CustomerLink: customer,
	}
	street, _ := p["street"].([]any)
	for _, line := range street {
		a.Street = append(a.Street, fmt.Sprint(line))
	}
	return a
}

func readLine(p printed) Line {
	l := Line{
		ID: p.number("item_id"), ParentID: p.number("parent_item_id"), ProductID: p.number("product_id"), QuoteID: p.number("quote_item_id"),
		Type: p.text("product_type"), SKU: p.text("sku"), Name: p.text("name"), Virtual: p.number("is_virtual") == 1,
		CreatedAt: p.time("created_at"), UpdatedAt: p.time("updated_at"),
		Ordered: p.text("qty_ordered"), Invoiced: p.text("qty_invoiced"), Shipped: p.text("qty_shipped"),
		Refunded: p.text("qty_refunded"), Canceled: p.text("qty_canceled"),
		Price: p.text("price"), BasePrice: p.text("base_price"),
		OriginalPrice: p.text("original_price"), BaseOriginalPrice: p.text("base_original_price"),
		PriceInclTax: p.text("price_incl_tax"), BasePriceInclTax: p.text("base_price_incl_tax"),
		RowTotal: p.text("row_total"), BaseRowTotal: p.text("base_row_total"),
		RowInclTax: p.text("row_total_incl_tax"), BaseRowInclTax: p.text("base_row_total_incl_tax"),
		Discount: p.text("discount_amount"), BaseDiscount: p.text("base_discount_amount"), DiscountRate: p.text("discount_percent"),
		Tax: p.text("tax_amount"), BaseTax: p.text("base_tax_amount"), TaxRate: p.text("tax_percent"),
		RowInvoiced: p.text("row_invoiced"), BaseRowInvoiced: p.text("base_row_invoiced"),
		AmountRefunded: p.text("amount_refunded"), BaseAmountRefunded: p.text("base_amount_refunded"),
		Weight: p.text("weight"), RowWeight: p.text("row_weight"), RuleIDs: p.text("applied_rule_ids"),
	}
	for _, o := range p.object("product_option", "extension_attributes").objects("configurable_item_options") {
		l.Options = append(l.Options, Option{ID: o.text("option_id"), Value: o.number("option_value")})
	}
	return l
}
