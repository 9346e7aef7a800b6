package magentotest

import (
	"strings"
	"time"
)

// fate lets an order be paid, sent, refunded, canceled or held, each some time after.
func (g *orderGenerator) fate(o *Order) {
	p := g.rand.Float64() * 100
	if p < 40 {
		return
	}
	age := int64(g.start.Sub(o.CreatedAt) / time.Second)
	o.UpdatedAt = o.CreatedAt.Add(time.Duration(1+g.rand.Int64N(age-1)) * time.Second)
	whole := func(*Line) decimal { return one }
	switch {
	case p < 42:
		o.HoldState, o.HoldStatus = o.State, o.Status
		o.State, o.Status = "holded", "holded"
	case p < 47:
		o.State, o.Status = "canceled", "canceled"
		o.Canceled = sumUp(o, nil)
		each(o, func(l *Line, n decimal) { l.Canceled = n.String() })
	case p < 56:
		o.State, o.Status = "processing", "processing"
		g.invoice(o, whole)
	case p < 62: // the first line only, and a part of it back
		g.invoice(o, func(l *Line) decimal {
			if l.ID == o.Lines[0].ID || l.ParentID == o.Lines[0].ID {
				return one
			}
			return 0
		})
		o.State, o.Status = "processing", "processing"
		if g.chance(50) {
			first := o.Lines[0].ID
			g.refund(o, func(l *Line) bool { return l.ID == first }, false)
		}
	case p < 67:
		o.State, o.Status = "closed", "closed"
		g.invoice(o, whole)
		g.refund(o, func(*Line) bool { return true }, true)
	default:
		o.State, o.Status = "complete", "complete"
		g.invoice(o, whole)
		each(o, func(l *Line, n decimal) {
			if l.ParentID == 0 && !l.Virtual {
				l.Shipped = n.String()
			}
		})
	}
}

// each calls f with every line and its quantity.
func each(o *Order, f func(l *Line, n decimal)) {
	for i := range o.Lines {
		o.Lines[i].UpdatedAt = o.UpdatedAt
		f(&o.Lines[i], parseDecimal(o.Lines[i].Ordered))
	}
}

// sumUp adds up the lines that take part, with shipping; nil takes all of them.
func sumUp(o *Order, takes func(*Line) bool) *Sums {
	var s [2]struct{ subtotal, discount, tax decimal }
	for i := range o.Lines {
		l := &o.Lines[i]
		if l.ParentID != 0 || takes != nil && !takes(l) {
			continue
		}
		for k, t := range [][3]string{{l.RowTotal, l.Discount, l.Tax}, {l.BaseRowTotal, l.BaseDiscount, l.BaseTax}} {
			s[k].subtotal += parseDecimal(t[0]) + parseDecimal(t[1])
			s[k].discount += parseDecimal(t[1])
			s[k].tax += parseDecimal(t[2])
		}
	}
	part := func(k int, shipping string) Sum {
		total := s[k].subtotal - s[k].discount + s[k].tax + parseDecimal(shipping)
		return Sum{Subtotal: s[k].subtotal.String(), Discount: (-s[k].discount).String(), Shipping: shipping, Tax: s[k].tax.String(), Total: total.String()}
	}
	return &Sums{Of: part(0, o.Totals.Shipping), Base: part(1, o.BaseTotals.Shipping)}
}

// invoice charges the lines for which share is not 0, and the shipping.
func (g *orderGenerator) invoice(o *Order, share func(*Line) decimal) {
	o.Invoiced = sumUp(o, func(l *Line) bool { return share(l) != 0 })
	each(o, func(l *Line, n decimal) {
		if share(l) != 0 {
			l.Invoiced, l.RowInvoiced, l.BaseRowInvoiced = n.String(), l.RowTotal, l.BaseRowTotal
		}
	})
	o.Due = (parseDecimal(o.Totals.Grand) - parseDecimal(o.Invoiced.Of.Total)).String()
	o.BaseDue = (parseDecimal(o.BaseTotals.Grand) - parseDecimal(o.Invoiced.Base.Total)).String()
}

// refund gives the money of the lines that take part back.
func (g *orderGenerator) refund(o *Order, takes func(*Line) bool, shipping bool) {
	o.Refunded = sumUp(o, takes)
	if !shipping {
		for _, s := range []*Sum{&o.Refunded.Of, &o.Refunded.Base} {
			s.Total = (parseDecimal(s.Total) - parseDecimal(s.Shipping)).String()
			s.Shipping = "0"
		}
	}
	each(o, func(l *Line, n decimal) {
		if takes(l) {
			l.Refunded, l.AmountRefunded, l.BaseAmountRefunded = n.String(), l.RowTotal, l.BaseRowTotal
		}
	})
	g.comments++
	amount := strings.Replace(o.Refunded.Base.Total, ".", ",", 1)
	o.History = append(o.History, Comment{
		ID: g.comments, At: o.UpdatedAt, Text: "We refunded € " + amount + " offline.", Entity: "creditmemo", Status: o.Status,
	})
}
