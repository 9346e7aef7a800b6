package magentotest

// fill puts products into an order and adds up.
func (g *orderGenerator) fill(o *Order) {
	rate := parseDecimal(o.ToOrderRate)
	rebate, tax := decimal(0), decimal(0)
	if g.chance(9) {
		rebate = 10 * one
		o.CouponCode, o.DiscountDescription, o.RuleIDs = "WELKOM10", "WELKOM10", "1"
	}
	if g.chance(30) {
		tax = 21 * one
	}
	o.Virtual = true
	all := []*Totals{&o.Totals, &o.BaseTotals}
	var sums [2]struct{ subtotal, incl, discount, tax decimal }
	var quantity, weight decimal
	for range 1 + g.rand.IntN(3) {
		p := g.products[g.rand.IntN(len(g.products))]
		if g.chance(4) {
			p = g.products[6]
		}
		n := one * decimal(1+g.rand.Int64N(4))
		if g.chance(1) {
			n += one / 4 // sold by weight
		}
		l := g.line(o, p, n)
		o.Virtual = o.Virtual && l.Virtual
		l.OriginalPrice, l.BaseOriginalPrice = p.price.times(rate).String(), p.price.String()
		l.DiscountRate, l.TaxRate, l.RuleIDs = rebate.String(), tax.String(), o.RuleIDs
		for k, price := range []decimal{p.price.times(rate).cents(), p.price} {
			discount := price.times(n).times(rebate / 100).cents()
			row := price.times(n).cents() - discount
			vat := row.times(tax / 100).cents()
			incl := price + price.times(tax/100).cents()
			for _, set := range []struct {
				text [2]*string
				v    decimal
			}{
				{[2]*string{&l.Price, &l.BasePrice}, price},
				{[2]*string{&l.PriceInclTax, &l.BasePriceInclTax}, incl},
				{[2]*string{&l.RowTotal, &l.BaseRowTotal}, row},
				{[2]*string{&l.RowInclTax, &l.BaseRowInclTax}, row + vat},
				{[2]*string{&l.Discount, &l.BaseDiscount}, discount},
				{[2]*string{&l.Tax, &l.BaseTax}, vat},
			} {
				*set.text[k] = set.v.String()
			}
			sums[k].subtotal += row + discount
			sums[k].incl += row + discount + vat
			sums[k].discount += discount
			sums[k].tax += vat
		}
		quantity += n
		if !l.Virtual {
			weight += n
		}
		o.Lines = append(o.Lines, l)
		if len(p.variants) > 0 {
			o.Lines = g.child(o, p, n)
		}
	}
	o.Quantity, o.Weight = quantity.String(), weight.String()
	shipping := decimal(0)
	if !o.Virtual {
		shipping = quantity * 5
	}
	for k, t := range all {
		freight := shipping
		if k == 0 {
			freight = shipping.times(rate).cents()
		}
		s := sums[k]
		*t = Totals{
			Subtotal: s.subtotal.String(), SubtotalInclTax: s.incl.String(), Discount: (-s.discount).String(),
			Shipping: freight.String(), ShippingInclTax: freight.String(), ShippingTax: "0", Tax: s.tax.String(),
			Grand: (s.subtotal - s.discount + freight + s.tax).String(),
		}
	}
	o.Due, o.BaseDue = o.Totals.Grand, o.BaseTotals.Grand
}

func (g *orderGenerator) line(o *Order, p product, n decimal) Line {
	g.lines++
	l := Line{
		ID: g.lines, ProductID: p.id, QuoteID: g.lines, Type: p.kind, SKU: p.sku, Name: p.name,
		Virtual: p.kind == "virtual", CreatedAt: o.CreatedAt, UpdatedAt: o.CreatedAt, Ordered: n.String(),
	}
	if !l.Virtual {
		l.Weight, l.RowWeight = "1", n.String()
	}
	return l
}

// child adds the chosen variant of a configurable product below the last line, which
// takes its sku.
func (g *orderGenerator) child(o *Order, p product, n decimal) []Line {
	v := p.variants[g.rand.IntN(len(p.variants))]
	parent := &o.Lines[len(o.Lines)-1]
	parent.SKU, parent.Options = v.sku, []Option{{"93", v.option}}
	l := g.line(o, product{id: v.id, sku: v.sku, name: v.name, kind: "simple"}, n)
	l.ParentID, l.RowWeight = parent.ID, "0"
	return append(o.Lines, l)
}
