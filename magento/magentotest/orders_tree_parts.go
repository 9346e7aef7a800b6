package magentotest

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
