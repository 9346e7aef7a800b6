package mapping

import (
	"strings"
	"time"

	"github.com/magento-copernica/syncd/magento"
)

var viewPaths = []string{"store_id", "store_name"}

// orderText, orderAmount and their like are sources that are one property of an order,
// named as Magento names it.
func orderText(path string, of func(*magento.Order) string) source[*placing] {
	return source[*placing]{paths: []string{path}, text: func(p *placing) string { return of(p.o) }}
}

func orderAmount(path string, of func(*magento.Order) magento.Decimal) source[*placing] {
	return source[*placing]{paths: []string{path}, amount: func(p *placing) magento.Decimal { return of(p.o) }}
}

func orderNumber(path string, of func(*magento.Order) int64) source[*placing] {
	return source[*placing]{paths: []string{path}, number: func(p *placing) int64 { return of(p.o) }}
}

// orderSources lists what a mapping of orders may name after `from`. The customer's
// name and e-mail are not among them: they stand in the profile. Neither is updated_at,
// which a customer's new e-mail moves in all their orders.
var orderSources = map[string]source[*placing]{
	sourceKey:              {},
	"entity_id":            {number: func(p *placing) int64 { return p.o.ID }},
	"increment_id":         orderText("increment_id", func(o *magento.Order) string { return o.IncrementID }),
	"cart":                 {paths: []string{"quote_id"}, text: func(p *placing) string { return keyOf(p.m.keys.cart, p.o.QuoteID) }},
	"quote_id":             orderNumber("quote_id", func(o *magento.Order) int64 { return o.QuoteID }),
	"state":                orderText("state", func(o *magento.Order) string { return o.State }),
	"status":               orderText("status", func(o *magento.Order) string { return o.Status }),
	"store_view":           {paths: viewPaths, text: func(p *placing) string { return p.view }},
	"created_at":           {paths: []string{"created_at"}, time: func(p *placing) time.Time { return p.o.CreatedAt }},
	"is_virtual":           orderNumber("is_virtual", func(o *magento.Order) int64 { return flag(o.Virtual) }),
	"total_qty_ordered":    orderAmount("total_qty_ordered", func(o *magento.Order) magento.Decimal { return o.Quantity }),
	"weight":               orderAmount("weight", func(o *magento.Order) magento.Decimal { return o.Weight }),
	"order_currency_code":  orderText("order_currency_code", func(o *magento.Order) string { return o.Currency }),
	"subtotal":             orderAmount("subtotal", func(o *magento.Order) magento.Decimal { return o.Subtotal }),
	"discount_amount":      orderAmount("discount_amount", func(o *magento.Order) magento.Decimal { return o.Discount }),
	"shipping_amount":      orderAmount("shipping_amount", func(o *magento.Order) magento.Decimal { return o.Shipping }),
	"tax_amount":           orderAmount("tax_amount", func(o *magento.Order) magento.Decimal { return o.Tax }),
	"grand_total":          orderAmount("grand_total", func(o *magento.Order) magento.Decimal { return o.GrandTotal }),
	"total_paid":           orderAmount("total_paid", func(o *magento.Order) magento.Decimal { return o.Paid }),
	"total_due":            orderAmount("total_due", func(o *magento.Order) magento.Decimal { return o.Due }),
	"total_refunded":       orderAmount("total_refunded", func(o *magento.Order) magento.Decimal { return o.Refunded }),
	"total_canceled":       orderAmount("total_canceled", func(o *magento.Order) magento.Decimal { return o.Canceled }),
	"base_currency_code":   orderText("base_currency_code", func(o *magento.Order) string { return o.BaseCurrency }),
	"base_grand_total":     orderAmount("base_grand_total", func(o *magento.Order) magento.Decimal { return o.BaseGrandTotal }),
	"coupon_code":          personal(orderText("coupon_code", func(o *magento.Order) string { return o.CouponCode })),
	"remote_ip":            personal(orderText("remote_ip", func(o *magento.Order) string { return o.RemoteIP })),
	"shipping_description": personal(orderText("shipping_description", func(o *magento.Order) string { return o.ShippingDescription })),
	"payment_method":       orderText("payment.method", func(o *magento.Order) string { return o.Payment.Method }),
	"payment": {
		paths: []string{"payment.method", "extension_attributes.payment_additional_info"},
		text: func(p *placing) string {
			if p.o.Payment.Title == "" {
				return p.o.Payment.Method
			}
			return p.o.Payment.Title
		},
	},
	"shipping_address": {
		personal: true,
		paths:    []string{"extension_attributes.shipping_assignments.shipping.address.entity_id"},
		text: func(p *placing) string {
			if p.o.ShippingAddress == nil {
				return ""
			}
			return keyOf(p.m.keys.address, p.o.ShippingAddress.ID)
		},
	},
	"billing_address": {
		personal: true,
		paths:    []string{"billing_address.entity_id"},
		text:     func(p *placing) string { return keyOf(p.m.keys.address, p.o.BillingAddress.ID) },
	},
}

func lineText(path string, of func(*magento.Line) string) source[placed] {
	return source[placed]{paths: []string{path}, text: func(p placed) string { return of(p.line) }}
}

func lineAmount(path string, of func(*magento.Line) magento.Decimal) source[placed] {
	return source[placed]{paths: []string{path}, amount: func(p placed) magento.Decimal { return of(p.line) }}
}

// itemSources lists what a mapping of order lines may name after `from`.
var itemSources = map[string]source[placed]{
	sourceKey:             {},
	"order":               {text: func(p placed) string { return p.key }},
	"increment_id":        {paths: []string{"increment_id"}, text: func(p placed) string { return p.o.IncrementID }},
	"order_currency_code": {paths: []string{"order_currency_code"}, text: func(p placed) string { return p.o.Currency }},
	"store_view":          {paths: viewPaths, text: func(p placed) string { return p.view }},
	"item_id":             {paths: []string{"items.item_id"}, number: func(p placed) int64 { return p.line.ID }},
	"product_id":          {paths: []string{"items.product_id"}, number: func(p placed) int64 { return p.line.ProductID }},
	"product_type":        lineText("items.product_type", func(l *magento.Line) string { return l.Type }),
	"name":                lineText("items.name", func(l *magento.Line) string { return l.Name }),
	"sku":                 lineText("items.sku", func(l *magento.Line) string { return l.SKU }),
	"is_virtual":          {paths: []string{"items.is_virtual"}, number: func(p placed) int64 { return flag(p.line.Virtual) }},
	"weight":              lineAmount("items.weight", func(l *magento.Line) magento.Decimal { return l.Weight }),
	"qty_ordered":         lineAmount("items.qty_ordered", func(l *magento.Line) magento.Decimal { return l.Quantity }),
	"qty_invoiced":        lineAmount("items.qty_invoiced", func(l *magento.Line) magento.Decimal { return l.Invoiced }),
	"qty_shipped":         lineAmount("items.qty_shipped", func(l *magento.Line) magento.Decimal { return l.Shipped }),
	"qty_refunded":        lineAmount("items.qty_refunded", func(l *magento.Line) magento.Decimal { return l.Refunded }),
	"qty_canceled":        lineAmount("items.qty_canceled", func(l *magento.Line) magento.Decimal { return l.Canceled }),
	"price":               lineAmount("items.price", func(l *magento.Line) magento.Decimal { return l.Price }),
	"price_incl_tax":      lineAmount("items.price_incl_tax", func(l *magento.Line) magento.Decimal { return l.PriceInclTax }),
	"row_total":           lineAmount("items.row_total", func(l *magento.Line) magento.Decimal { return l.RowTotal }),
	"row_total_incl_tax":  lineAmount("items.row_total_incl_tax", func(l *magento.Line) magento.Decimal { return l.RowTotalInclTax }),
	"discount_amount":     lineAmount("items.discount_amount", func(l *magento.Line) magento.Decimal { return l.Discount }),
	"tax_amount":          lineAmount("items.tax_amount", func(l *magento.Line) magento.Decimal { return l.Tax }),
	"created_at":          {paths: []string{"items.created_at"}, time: func(p placed) time.Time { return p.line.CreatedAt }},
	"options":             personal(lineText("items.product_option", options)),
	"status": {
		paths: []string{"items.qty_ordered", "items.qty_canceled", "items.qty_refunded"},
		text:  func(p placed) string { return lineStatus(p.line) },
	},
}

// lineStatus says what became of a line: Magento has no status of its own for it.
func lineStatus(l *magento.Line) string {
	const ordered, canceled, refunded = "ordered", "canceled", "refunded"
	if none(l.Canceled) && none(l.Refunded) || l.Quantity.Cmp("0") <= 0 || l.Canceled.Add(l.Refunded).Cmp(l.Quantity) < 0 {
		return ordered
	}
	if l.Refunded.Cmp("0") > 0 {
		return refunded
	}
	return canceled
}

// none tells at a glance what is nothing, as nearly every line has.
func none(d magento.Decimal) bool { return d == "" || d == "0" }

// options lists what was chosen, one choice a line. The API prints ids, not their
// labels.
func options(l *magento.Line) string {
	if len(l.Options) == 0 {
		return ""
	}
	var b strings.Builder
	for i, o := range l.Options {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(o.ID)
		b.WriteString(": ")
		b.WriteString(o.Value)
	}
	return b.String()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
