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
	b.id("store_id", o.StoreID)
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
