package magentotest

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
	b.id("store_id", o.StoreID)
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
