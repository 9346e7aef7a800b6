package magentotest

import "net/http"

// documentSchema answers an unknown field as that of orders does.
func documentSchema() schema[*documentRow] {
	x := orderSchema()
	return schema[*documentRow]{column: documentColumn, filter: x.filter, sort: x.sort}
}

func documentColumn(field string) (column[*documentRow], bool) {
	type row = *documentRow
	switch field {
	case "entity_id":
		return intColumn(number, func(r row) int64 { return r.ID }), true
	case "order_id":
		return intColumn(number, func(r row) int64 { return r.OrderID }), true
	case "store_id":
		return intColumn(number, func(r row) int64 { return r.StoreID }), true
	case "updated_at":
		return intColumn(moment, func(r row) int64 { return r.updated }), true
	case "created_at":
		return intColumn(moment, func(r row) int64 { return r.CreatedAt.Unix() }), true
	case "increment_id":
		return textColumn(func(r row) string { return r.IncrementID }), true
	default:
		return column[row]{}, false
	}
}

// searchDocuments lists the documents of a kind. Unlike lists of orders and customers
// it starts no session (recordings invoices-search, shipments-search, creditmemos-search).
func searchDocuments(kind DocumentKind) func(*call) (any, *failure) {
	return func(c *call) (any, *failure) {
		settings := c.settings()
		criteria, bad := parseCriteria(c.query, settings)
		if bad != nil {
			return nil, bad
		}
		s := c.shop
		s.mu.Lock()
		defer s.mu.Unlock()
		page, total, bad := s.store.of(kind).search(criteria, documentSchema())
		if bad != nil {
			return nil, bad
		}
		if bad := poisoned(c, settings.Poison, settings.Poison.document(kind), true, page...); bad != nil {
			return nil, bad
		}
		want, narrow := c.fields()
		below, shown := want["items"]
		items := make(list, len(page))
		if shown || !narrow {
			for i, r := range page {
				items[i] = s.printDocument(r, below)
			}
		}
		return object{{"items", items}, {"search_criteria", criteria.echo()}, {"total_count", int64(total)}}, nil
	}
}

func getDocument(kind DocumentKind) func(*call) (any, *failure) {
	return func(c *call) (any, *failure) {
		settings := c.settings()
		s := c.shop
		s.mu.Lock()
		defer s.mu.Unlock()
		r, ok := s.store.of(kind).find(c.id)
		if !ok {
			return nil, fail(http.StatusNotFound, "The entity that was requested doesn't exist. Verify the entity and try again.")
		}
		if bad := poisoned(c, settings.Poison, settings.Poison.document(kind), false, r); bad != nil {
			return nil, bad
		}
		want, _ := c.fields()
		return s.printDocument(r, want), nil
	}
}

// printDocument prints a document with what it repeats of its order. The caller holds
// the lock.
func (s *Shop) printDocument(r *documentRow, want selection) object {
	o := s.mustOrder(r.OrderID)
	if r.Kind == Shipments {
		return r.shipment(&o.Order, want)
	}
	return r.bill(&o.Order, want)
}

// bill prints an invoice or a credit memo.
func (d *Document) bill(o *Order, want selection) object {
	b := builder{want: want, out: make(object, 0, 48)}
	memo := d.Kind == CreditMemos
	if memo {
		b.zero("adjustment", "adjustment_negative", "adjustment_positive", "base_adjustment", "base_adjustment_negative", "base_adjustment_positive")
	}
	b.string("base_currency_code", o.BaseCurrency)
	b.amount("base_discount_amount", d.Sums.Base.Discount)
	b.amount("base_grand_total", d.Sums.Base.Total)
	b.zero("base_discount_tax_compensation_amount")
	b.amount("base_shipping_amount", d.Sums.Base.Shipping)
	if !memo {
		b.zero("base_shipping_discount_tax_compensation_amnt")
	}
	b.amount("base_shipping_incl_tax", d.Sums.Base.Shipping)
	b.zero("base_shipping_tax_amount")
	b.amount("base_subtotal", d.Sums.Base.Subtotal)
	b.amount("base_subtotal_incl_tax", d.Sums.Base.Subtotal)
	b.amount("base_tax_amount", d.Sums.Base.Tax)
	b.amount("base_to_global_rate", o.ToGlobalRate)
	b.amount("base_to_order_rate", o.ToOrderRate)
	b.number("billing_address_id", o.Billing.ID)
	if !memo {
		b.zero("can_void_flag")
	}
	b.time("created_at", d.CreatedAt)
	b.amount("discount_amount", d.Sums.Of.Discount)
	b.number("entity_id", d.ID)
	b.string("global_currency_code", o.GlobalCurrency)
	b.amount("grand_total", d.Sums.Of.Total)
	b.zero("discount_tax_compensation_amount")
	b.string("increment_id", d.IncrementID)
	b.string("order_currency_code", o.Currency)
	b.number("order_id", d.OrderID)
	if o.Shipping != nil {
		b.number("shipping_address_id", o.Shipping.ID)
	}
	b.amount("shipping_amount", d.Sums.Of.Shipping)
	if !memo {
		b.zero("shipping_discount_tax_compensation_amount")
	}
	b.amount("shipping_incl_tax", d.Sums.Of.Shipping)
	b.zero("shipping_tax_amount")
	b.number("state", 2) // paid, or refunded
	b.string("store_currency_code", o.BaseCurrency)
	b.id("store_id", d.StoreID)
	b.zero("store_to_base_rate", "store_to_order_rate")
	b.amount("subtotal", d.Sums.Of.Subtotal)
	b.amount("subtotal_incl_tax", d.Sums.Of.Subtotal)
	b.amount("tax_amount", d.Sums.Of.Tax)
	if !memo {
		b.amount("total_qty", d.total())
	}
	b.time("updated_at", d.UpdatedAt)
	b.any("items", func(below selection) any {
		out := make(list, len(d.Lines))
		for i := range d.Lines {
			out[i] = d.billLine(&d.Lines[i], o.line(d.Lines[i].LineID), below)
		}
		return out
	})
	b.any("comments", func(selection) any { return list{} })
	return b.out
}

// billLine prints a line of an invoice or a credit memo. A child has no sums of its own.
func (d *Document) billLine(one *DocumentLine, l *Line, want selection) object {
	b := builder{want: want, out: make(object, 0, 24)}
	memo, child := d.Kind == CreditMemos, l != nil && l.ParentID != 0
	if l == nil { // taken off the order since
		l = &Line{ID: one.LineID, Ordered: one.Quantity}
	}
	part := func(name, of string) {
		b.amount(name, parseDecimal(of).of(parseDecimal(one.Quantity), parseDecimal(l.Ordered)).String())
	}
	if memo {
		b.any("base_cost", func(selection) any { return nil })
	}
	if !child {
		b.zero("base_discount_tax_compensation_amount")
	}
	b.amount("base_price", l.BasePrice)
	if !child {
		b.amount("base_price_incl_tax", l.BasePriceInclTax)
		part("base_row_total", l.BaseRowTotal)
		part("base_row_total_incl_tax", l.BaseRowInclTax)
		b.zero("base_tax_amount")
	}
	if memo {
		b.zero("base_weee_tax_row_disposition")
	}
	b.number("entity_id", one.ID)
	if !child {
		b.zero("discount_tax_compensation_amount")
	}
	b.string("name", l.Name)
	if memo {
		b.number("order_item_id", one.LineID)
	}
	b.number("parent_id", d.ID)
	b.amount("price", l.Price)
	if !child {
		b.amount("price_incl_tax", l.PriceInclTax)
	}
	b.number("product_id", l.ProductID)
	if memo {
		b.amount("qty", one.Quantity)
	}
	if !child {
		part("row_total", l.RowTotal)
		part("row_total_incl_tax", l.RowInclTax)
	}
	b.string("sku", l.SKU)
	if !child {
		b.zero("tax_amount")
	}
	if memo {
		b.string("weee_tax_applied", "[]")
		b.zero("weee_tax_applied_row_amount", "weee_tax_row_disposition")
	} else {
		b.number("order_item_id", one.LineID)
		b.amount("qty", one.Quantity)
	}
	return b.out
}

func (d *Document) shipment(o *Order, want selection) object {
	b := builder{want: want, out: make(object, 0, 16)}
	b.number("billing_address_id", o.Billing.ID)
	b.time("created_at", d.CreatedAt)
	b.id("customer_id", o.CustomerID)
	b.number("entity_id", d.ID)
	b.string("increment_id", d.IncrementID)
	b.number("order_id", d.OrderID)
	b.any("packages", func(selection) any { return list{} })
	if o.Shipping != nil {
		b.number("shipping_address_id", o.Shipping.ID)
	}
	b.id("store_id", d.StoreID)
	b.amount("total_qty", d.total())
	b.time("updated_at", d.UpdatedAt)
	b.any("items", func(below selection) any {
		out := make(list, len(d.Lines))
		for i, one := range d.Lines {
			l := o.line(one.LineID)
			if l == nil {
				l = &Line{}
			}
			row := builder{want: below}
			row.number("entity_id", one.ID)
			row.string("name", l.Name)
			row.number("parent_id", d.ID)
			row.amount("price", l.Price)
			row.number("product_id", l.ProductID)
			row.string("sku", l.SKU)
			row.amount("weight", l.Weight)
			row.number("order_item_id", one.LineID)
			row.amount("qty", one.Quantity)
			out[i] = row.out
		}
		return out
	})
	b.any("tracks", func(below selection) any { return list{d.track(below)} })
	b.any("comments", func(selection) any { return list{} })
	b.any("extension_attributes", func(selection) any { return object{{"source_code", "default"}} })
	return b.out
}

// track prints the number that a carrier gave a shipment.
func (d *Document) track(want selection) object {
	b := builder{want: want}
	none := func(selection) any { return nil }
	b.number("order_id", d.OrderID)
	b.time("created_at", d.CreatedAt)
	b.number("entity_id", d.ID)
	b.number("parent_id", d.ID)
	b.time("updated_at", d.UpdatedAt)
	b.any("weight", none)
	b.any("qty", none)
	b.any("description", none)
	b.string("track_number", "3STEST"+d.IncrementID)
	b.string("title", "PostNL")
	b.string("carrier_code", "custom")
	return b.out
}
