package magentotest

// tree prints an order in the shop's order of keys: by the names that the columns have
// in the database.
func (o *Order) tree(want selection) object {
	b := builder{want: want, out: make(object, 0, 32)}
	inv, ref, can := o.Invoiced, o.Refunded, o.Canceled
	if ref != nil {
		b.zero("adjustment_negative", "adjustment_positive")
	}
	b.text("applied_rule_ids", o.RuleIDs)
	if ref != nil {
		b.zero("base_adjustment_negative", "base_adjustment_positive")
	}
	b.string("base_currency_code", o.BaseCurrency)
	b.amount("base_discount_amount", o.BaseTotals.Discount)
	b.sum(can, "base_discount_canceled", func(s *Sums) string { return s.Base.Discount })
	b.sum(inv, "base_discount_invoiced", func(s *Sums) string { return s.Base.Discount })
	b.sum(ref, "base_discount_refunded", func(s *Sums) string { return s.Base.Discount })
	b.amount("base_grand_total", o.BaseTotals.Grand)
	b.compensation("base_", inv, ref)
	b.shipping("base_", "base_shipping_discount_tax_compensation_amnt", "", o.BaseTotals, inv.base(), ref.base(), can.base())
	b.amount("base_subtotal", o.BaseTotals.Subtotal)
	b.sum(can, "base_subtotal_canceled", func(s *Sums) string { return s.Base.Subtotal })
	b.amount("base_subtotal_incl_tax", o.BaseTotals.SubtotalInclTax)
	b.sum(inv, "base_subtotal_invoiced", func(s *Sums) string { return s.Base.Subtotal })
	b.sum(ref, "base_subtotal_refunded", func(s *Sums) string { return s.Base.Subtotal })
	b.amount("base_tax_amount", o.BaseTotals.Tax)
	b.sum(can, "base_tax_canceled", func(s *Sums) string { return s.Base.Tax })
	b.sum(inv, "base_tax_invoiced", func(s *Sums) string { return s.Base.Tax })
	b.sum(ref, "base_tax_refunded", func(s *Sums) string { return s.Base.Tax })
	b.sum(can, "base_total_canceled", func(s *Sums) string { return s.Base.Total })
	b.amount("base_total_due", o.BaseDue)
	b.sum(inv, "base_total_invoiced", func(s *Sums) string { return s.Base.Total })
	b.sum(inv, "base_total_invoiced_cost", func(*Sums) string { return "0" })
	b.sum(ref, "base_total_offline_refunded", func(s *Sums) string { return s.Base.Total })
	b.sum(inv, "base_total_paid", func(s *Sums) string { return s.Base.Total })
	b.sum(ref, "base_total_refunded", func(s *Sums) string { return s.Base.Total })
	b.amount("base_to_global_rate", o.ToGlobalRate)
	b.amount("base_to_order_rate", o.ToOrderRate)
	b.number("billing_address_id", o.Billing.ID)
	b.text("coupon_code", o.CouponCode)
	b.time("created_at", o.CreatedAt)
	o.customer(&b)
	b.amount("discount_amount", o.Totals.Discount)
	b.sum(can, "discount_canceled", func(s *Sums) string { return s.Of.Discount })
	b.text("discount_description", o.DiscountDescription)
	b.sum(inv, "discount_invoiced", func(s *Sums) string { return s.Of.Discount })
	b.sum(ref, "discount_refunded", func(s *Sums) string { return s.Of.Discount })
	b.id("email_sent", o.EmailSent)
	b.number("entity_id", o.ID)
	b.string("global_currency_code", o.GlobalCurrency)
	b.amount("grand_total", o.Totals.Grand)
	b.compensation("", inv, ref)
	b.text("hold_before_state", o.HoldState)
	b.text("hold_before_status", o.HoldStatus)
	b.string("increment_id", o.IncrementID)
	b.number("is_virtual", int64(b2i(o.Virtual)))
	b.string("order_currency_code", o.Currency)
	b.text("protect_code", o.ProtectCode)
	b.number("quote_id", o.QuoteID)
	b.text("remote_ip", o.RemoteIP)
	b.shipping("", "shipping_discount_tax_compensation_amount", o.ShippingDescription, o.Totals, inv.of(), ref.of(), can.of())
	b.string("state", o.State)
	b.string("status", o.Status)
	b.string("store_currency_code", o.BaseCurrency)
	b.number("store_id", o.StoreID)
	b.string("store_name", o.StoreName)
	b.zero("store_to_base_rate", "store_to_order_rate")
	b.amount("subtotal", o.Totals.Subtotal)
	b.sum(can, "subtotal_canceled", func(s *Sums) string { return s.Of.Subtotal })
	b.amount("subtotal_incl_tax", o.Totals.SubtotalInclTax)
	b.sum(inv, "subtotal_invoiced", func(s *Sums) string { return s.Of.Subtotal })
	b.sum(ref, "subtotal_refunded", func(s *Sums) string { return s.Of.Subtotal })
	b.amount("tax_amount", o.Totals.Tax)
	b.sum(can, "tax_canceled", func(s *Sums) string { return s.Of.Tax })
	b.sum(inv, "tax_invoiced", func(s *Sums) string { return s.Of.Tax })
	b.sum(ref, "tax_refunded", func(s *Sums) string { return s.Of.Tax })
	b.sum(can, "total_canceled", func(s *Sums) string { return s.Of.Total })
	b.amount("total_due", o.Due)
	b.sum(inv, "total_invoiced", func(s *Sums) string { return s.Of.Total })
	b.number("total_item_count", o.parents())
	b.sum(ref, "total_offline_refunded", func(s *Sums) string { return s.Of.Total })
	b.sum(inv, "total_paid", func(s *Sums) string { return s.Of.Total })
	b.amount("total_qty_ordered", o.Quantity)
	b.sum(ref, "total_refunded", func(s *Sums) string { return s.Of.Total })
	b.time("updated_at", o.UpdatedAt)
	b.amount("weight", o.Weight)
	b.any("items", func(below selection) any { return o.lines(below) })
	b.any("billing_address", func(below selection) any { return o.Billing.tree(below, o, "billing") })
	b.any("payment", func(below selection) any { return o.payment(below) })
	b.any("status_histories", func(selection) any { return o.history() })
	b.any("extension_attributes", func(below selection) any { return o.extension(below) })
	return b.out
}

func (s *Sums) base() *Sum {
	if s == nil {
		return nil
	}
	return &s.Base
}

func (s *Sums) of() *Sum {
	if s == nil {
		return nil
	}
	return &s.Of
}

// sum adds a part of the totals where there is one.
func (b *builder) sum(s *Sums, name string, get func(*Sums) string) {
	if s != nil && b.wants(name) {
		b.amount(name, get(s))
	}
}

// compensation adds what the shop keeps for prices with tax in them: always 0 here.
func (b *builder) compensation(prefix string, inv, ref *Sums) {
	b.zero(prefix + "discount_tax_compensation_amount")
	if inv != nil {
		b.zero(prefix + "discount_tax_compensation_invoiced")
	}
	if ref != nil {
		b.zero(prefix + "discount_tax_compensation_refunded")
	}
}

// shipping adds shipping amounts; those of the order and of its assignment are alike.
func (b *builder) shipping(prefix, compensation, description string, t Totals, inv, ref, can *Sum) {
	b.amount(prefix+"shipping_amount", t.Shipping)
	if can != nil {
		b.amount(prefix+"shipping_canceled", can.Shipping)
	}
	b.text("shipping_description", description)
	b.zero(prefix+"shipping_discount_amount", compensation)
	b.amount(prefix+"shipping_incl_tax", t.ShippingInclTax)
	if inv != nil {
		b.amount(prefix+"shipping_invoiced", inv.Shipping)
	}
	if ref != nil {
		b.amount(prefix+"shipping_refunded", ref.Shipping)
	}
	b.amount(prefix+"shipping_tax_amount", t.ShippingTax)
	if ref != nil {
		b.zero(prefix + "shipping_tax_refunded")
	}
}

// customer adds the order's snapshot of its customer.
func (o *Order) customer(b *builder) {
	b.text("customer_dob", o.DOB)
	b.string("customer_email", o.Email)
	b.text("customer_firstname", o.FirstName)
	b.id("customer_gender", o.Gender)
	b.number("customer_group_id", o.CustomerGroupID)
	b.id("customer_id", o.CustomerID)
	b.number("customer_is_guest", int64(b2i(o.Guest)))
	b.text("customer_lastname", o.LastName)
	b.text("customer_middlename", o.MiddleName)
	b.number("customer_note_notify", o.NoteNotify)
	b.text("customer_prefix", o.Prefix)
	b.text("customer_suffix", o.Suffix)
	b.text("customer_taxvat", o.TaxVAT)
}

// parents counts the lines that are no children.
func (o *Order) parents() int64 {
	n := int64(0)
	for i := range o.Lines {
		if o.Lines[i].ParentID == 0 {
			n++
		}
	}
	return n
}

func (o *Order) lines(want selection) list {
	out := make(list, len(o.Lines))
	for i := range o.Lines {
		out[i] = o.Lines[i].tree(want, o)
	}
	return out
}

func (o *Order) line(id int64) *Line {
	for i := range o.Lines {
		if o.Lines[i].ID == id {
			return &o.Lines[i]
		}
	}
	return nil
}

// tree prints a line. A child lacks the prices that it does not have of its own, and
// holds its whole parent.
func (l *Line) tree(want selection, o *Order) object {
	b := builder{want: want, out: make(object, 0, 16)}
	child := l.ParentID != 0
	invoiced, refunded, canceled := parseDecimal(l.Invoiced) != 0, parseDecimal(l.Refunded) != 0, parseDecimal(l.Canceled) != 0
	part := func(name, value string) { // of a discount or tax that is invoiced in proportion
		if parseDecimal(l.Invoiced) != parseDecimal(l.Ordered) {
			value = "0"
		}
		b.amount(name, value)
	}
	compensation := func(prefix string, cancel bool) {
		if !child {
			b.zero(prefix + "discount_tax_compensation_amount")
		}
		if canceled && cancel {
			b.zero("discount_tax_compensation_canceled")
		}
		if invoiced {
			b.zero(prefix + "discount_tax_compensation_invoiced")
		}
		if refunded {
			b.zero(prefix + "discount_tax_compensation_refunded")
		}
	}
	b.amount("amount_refunded", l.AmountRefunded)
	b.text("applied_rule_ids", l.RuleIDs)
	b.amount("base_amount_refunded", l.BaseAmountRefunded)
	b.amount("base_discount_amount", l.BaseDiscount)
	part("base_discount_invoiced", l.BaseDiscount)
	if refunded {
		b.zero("base_discount_refunded")
	}
	compensation("base_", false)
	if !child {
		b.amount("base_original_price", l.BaseOriginalPrice)
	}
	b.amount("base_price", l.BasePrice)
	if !child {
		b.amount("base_price_incl_tax", l.BasePriceInclTax)
	}
	b.amount("base_row_invoiced", l.BaseRowInvoiced)
	b.amount("base_row_total", l.BaseRowTotal)
	if !child {
		b.amount("base_row_total_incl_tax", l.BaseRowInclTax)
	}
	b.amount("base_tax_amount", l.BaseTax)
	part("base_tax_invoiced", l.BaseTax)
	if refunded {
		b.zero("base_tax_refunded")
	}
	b.time("created_at", l.CreatedAt)
	b.amount("discount_amount", l.Discount)
	part("discount_invoiced", l.Discount)
	b.amount("discount_percent", l.DiscountRate)
	if refunded {
		b.zero("discount_refunded")
	}
	b.zero("free_shipping")
	compensation("", true)
	b.zero("is_qty_decimal")
	b.number("is_virtual", int64(b2i(l.Virtual)))
	b.number("item_id", l.ID)
	b.string("name", l.Name)
	b.zero("no_discount")
	b.number("order_id", o.ID)
	b.amount("original_price", l.OriginalPrice)
	b.id("parent_item_id", l.ParentID)
	b.amount("price", l.Price)
	if !child {
		b.amount("price_incl_tax", l.PriceInclTax)
	}
	b.id("product_id", l.ProductID)
	b.string("product_type", l.Type)
	b.amount("qty_canceled", l.Canceled)
	b.amount("qty_invoiced", l.Invoiced)
	b.amount("qty_ordered", l.Ordered)
	b.amount("qty_refunded", l.Refunded)
	b.amount("qty_shipped", l.Shipped)
	b.number("quote_item_id", l.QuoteID)
	b.amount("row_invoiced", l.RowInvoiced)
	b.amount("row_total", l.RowTotal)
	if !child {
		b.amount("row_total_incl_tax", l.RowInclTax)
	}
	b.amount("row_weight", l.RowWeight)
	b.string("sku", l.SKU)
	b.number("store_id", o.StoreID)
	b.amount("tax_amount", l.Tax)
	if canceled {
		b.zero("tax_canceled")
	}
	part("tax_invoiced", l.Tax)
	b.amount("tax_percent", l.TaxRate)
	if refunded {
		b.zero("tax_refunded")
	}
	b.time("updated_at", l.UpdatedAt)
	if o.Invoiced != nil && !child {
		b.string("weee_tax_applied", "[]")
	}
	if l.Weight != "" {
		b.amount("weight", l.Weight)
	}
	if parent := o.line(l.ParentID); child && parent != nil {
		b.any("parent_item", func(below selection) any { return parent.tree(below, o) })
	}
	if len(l.Options) > 0 {
		b.any("product_option", func(selection) any { return l.options() })
	}
	b.any("extension_attributes", func(selection) any { return object{{"itemized_taxes", list{}}} })
	if child {
		b.zero("row_total_incl_tax", "base_row_total_incl_tax")
	}
	return b.out
}

// options prints the chosen options: the ids of attribute and value, the first as text.
func (l *Line) options() object {
	chosen := make(list, len(l.Options))
	for i, o := range l.Options {
		chosen[i] = object{{"option_id", o.ID}, {"option_value", o.Value}}
	}
	return object{{"extension_attributes", object{{"configurable_item_options", chosen}}}}
}

func (a *OrderAddress) tree(want selection, o *Order, kind string) object {
	b := builder{want: want, out: make(object, 0, 16)}
	b.string("address_type", kind)
	b.string("city", a.City)
	b.text("company", a.Company)
	b.string("country_id", a.CountryID)
	if a.CustomerLink {
		b.id("customer_id", o.CustomerID)
	}
	b.string("email", a.Email)
	b.number("entity_id", a.ID)
	b.string("firstname", a.FirstName)
	b.string("lastname", a.LastName)
	b.number("parent_id", o.ID)
	b.string("postcode", a.Postcode)
	if a.RegionKey {
		b.number("region_id", 0)
	}
	b.any("street", func(selection) any {
		street := make(list, len(a.Street))
		for i, line := range a.Street {
			street[i] = line
		}
		return street
	})
	b.text("telephone", a.Telephone)
	return b.out
}

func (o *Order) payment(want selection) object {
	b := builder{want: want}
	inv, ref := o.Invoiced, o.Refunded
	b.any("account_status", func(selection) any { return nil })
	b.any("additional_information", func(selection) any {
		info := list{o.PaymentTitle}
		if o.PaymentMethod == bankTransfer {
			info = append(info, nil) // its instructions
		}
		return info
	})
	b.amount("amount_ordered", o.Totals.Grand)
	b.sum(inv, "amount_paid", func(s *Sums) string { return s.Of.Total })
	b.sum(ref, "amount_refunded", func(s *Sums) string { return s.Of.Total })
	b.amount("base_amount_ordered", o.BaseTotals.Grand)
	b.sum(inv, "base_amount_paid", func(s *Sums) string { return s.Base.Total })
	b.sum(ref, "base_amount_refunded", func(s *Sums) string { return s.Base.Total })
	b.amount("base_shipping_amount", o.BaseTotals.Shipping)
	b.sum(inv, "base_shipping_captured", func(s *Sums) string { return s.Base.Shipping })
	b.sum(ref, "base_shipping_refunded", func(s *Sums) string { return s.Base.Shipping })
	b.any("cc_last4", func(selection) any { return nil })
	b.number("entity_id", o.PaymentID)
	b.string("method", o.PaymentMethod)
	b.number("parent_id", o.ID)
	b.amount("shipping_amount", o.Totals.Shipping)
	b.sum(inv, "shipping_captured", func(s *Sums) string { return s.Of.Shipping })
	b.sum(ref, "shipping_refunded", func(s *Sums) string { return s.Of.Shipping })
	return b.out
}

const bankTransfer = "banktransfer"

func (o *Order) history() list {
	out := make(list, len(o.History))
	for i, c := range o.History {
		b := builder{}
		b.string("comment", c.Text)
		b.time("created_at", c.At)
		b.number("entity_id", c.ID)
		b.text("entity_name", c.Entity)
		b.number("is_customer_notified", c.Notified)
		b.number("is_visible_on_front", c.Visible)
		b.number("parent_id", o.ID)
		b.string("status", c.Status)
		out[i] = b.out
	}
	return out
}

func (o *Order) extension(want selection) object {
	b := builder{want: want}
	b.any("shipping_assignments", func(below selection) any {
		assignment := builder{want: below}
		assignment.any("shipping", func(below selection) any { return o.delivery(below) })
		assignment.any("items", func(below selection) any { return o.lines(below) })
		return list{assignment.out}
	})
	b.any("payment_additional_info", func(selection) any {
		info := list{object{{"key", "method_title"}, {"value", o.PaymentTitle}}}
		if o.PaymentMethod == bankTransfer {
			info = append(info, object{{"key", "instructions"}, {"value", "null"}})
		}
		return info
	})
	for _, name := range []string{"applied_taxes", "item_applied_taxes"} {
		b.any(name, func(selection) any { return list{} })
	}
	b.any("converting_from_quote", func(selection) any { return false })
	for _, name := range []string{"taxes", "additional_itemized_taxes"} {
		b.any(name, func(selection) any { return list{} })
	}
	return b.out
}

// delivery is the only place of the shipping address, which a virtual order lacks.
func (o *Order) delivery(want selection) object {
	b := builder{want: want}
	if o.Shipping != nil {
		b.any("address", func(below selection) any { return o.Shipping.tree(below, o, "shipping") })
		b.text("method", o.ShippingMethod)
	}
	b.any("total", func(below selection) any {
		total := builder{want: below}
		inv, ref, can := o.Invoiced, o.Refunded, o.Canceled
		total.shipping("base_", "base_shipping_discount_tax_compensation_amnt", "", o.BaseTotals, inv.base(), ref.base(), can.base())
		total.shipping("", "shipping_discount_tax_compensation_amount", "", o.Totals, inv.of(), ref.of(), can.of())
		return total.out
	})
	return b.out
}
