package magentotest

import (
	"cmp"
	"slices"
	"time"
)

// DocumentKind is a kind of document that belongs to an order: the name of its list in
// the REST API.
type DocumentKind string

// The kinds.
const (
	Invoices    DocumentKind = "invoices"
	Shipments   DocumentKind = "shipments"
	CreditMemos DocumentKind = "creditmemos"
)

func documentKinds() []DocumentKind { return []DocumentKind{Invoices, Shipments, CreditMemos} }

// Document is an invoice, a shipment or a credit memo as the shop holds it. What it
// repeats of its order is printed from the order.
type Document struct {
	Kind                 DocumentKind
	ID, OrderID, StoreID int64
	IncrementID          string
	CreatedAt, UpdatedAt time.Time
	Lines                []DocumentLine
	Sums                 Sums // of an invoice and a credit memo
}

// DocumentLine is a line of a document: a part of one of the order's lines.
type DocumentLine struct {
	ID, LineID int64
	Quantity   string
}

func (d Document) clone() Document {
	d.Lines = slices.Clone(d.Lines)
	return d
}

// documentRow is one row of sales_invoice, sales_shipment or sales_creditmemo. It is
// never changed once it is in the store.
type documentRow struct {
	Document
	updated int64
}

func (r *documentRow) key() int64     { return r.ID }
func (r *documentRow) changed() int64 { return r.updated }

// documents are the shop's documents of one kind.
type documents struct {
	table[*documentRow]
	lastID, lastLine int64
	numbers          map[int64]int64
}

// add puts a document into the store and gives it what it lacks.
func (s *documents) add(d Document) int64 {
	s.complete(&d)
	s.insert(&documentRow{Document: d, updated: d.UpdatedAt.Unix()})
	return d.ID
}

func (s *documents) complete(d *Document) {
	if s.numbers == nil {
		s.numbers = map[int64]int64{}
	}
	s.lastID++
	s.numbers[d.StoreID]++
	d.ID, d.IncrementID = s.lastID, orderNumber(d.StoreID, s.numbers[d.StoreID])
	for i := range d.Lines {
		s.lastLine++
		d.Lines[i].ID = s.lastLine
	}
}

// generateDocuments gives orders the documents that made them what they are, dated as
// the orders' last change.
func (s *store) generateDocuments(all []Order) {
	for i := range all {
		o := &all[i]
		for kind, part := range map[DocumentKind]func(*Line) string{
			Invoices:    func(l *Line) string { return l.Invoiced },
			Shipments:   func(l *Line) string { return l.Shipped },
			CreditMemos: func(l *Line) string { return l.Refunded },
		} { // in any order: kinds know nothing of each other
			d := Document{Kind: kind, OrderID: o.ID, StoreID: o.StoreID, CreatedAt: o.UpdatedAt, UpdatedAt: o.UpdatedAt}
			for k := range o.Lines {
				if quantity := part(&o.Lines[k]); parseDecimal(quantity) != 0 {
					d.Lines = append(d.Lines, DocumentLine{LineID: o.Lines[k].ID, Quantity: quantity})
				}
			}
			switch sums := map[DocumentKind]*Sums{Invoices: o.Invoiced, CreditMemos: o.Refunded}[kind]; {
			case len(d.Lines) == 0:
				continue
			case sums != nil:
				d.Sums = *sums
			}
			of := s.of(kind)
			of.complete(&d)
			of.byID = append(of.byID, &documentRow{Document: d, updated: d.UpdatedAt.Unix()})
		}
	}
	for _, kind := range documentKinds() {
		s.of(kind).index()
	}
}

func (s *store) of(kind DocumentKind) *documents {
	if s.documents == nil {
		s.documents = map[DocumentKind]*documents{}
		for _, k := range documentKinds() {
			s.documents[k] = &documents{}
		}
	}
	d, ok := s.documents[kind]
	if !ok {
		panic("magentotest: no such kind of document: " + string(kind))
	}
	return d
}

// Ship sends a quantity of some of an order's lines, by their ids; nil sends what is left
// of all of them. It returns the shipment's id. As in the shop, the order's updated_at
// moves when its state does, and else stays (recording updated_at-moves: "order
// shipment" unchanged, "full shipment of a new order" moved).
func (s *Shop) Ship(order int64, lines map[int64]string) int64 {
	return s.document(Shipments, order, lines, false)
}

// Invoice charges lines in the same way. It moves the order's updated_at: what was
// invoiced stands in the order itself.
func (s *Shop) Invoice(order int64, lines map[int64]string) int64 {
	return s.document(Invoices, order, lines, false)
}

// Refund gives money back for lines that were invoiced, and moves updated_at as well.
func (s *Shop) Refund(order int64, lines map[int64]string) int64 {
	return s.document(CreditMemos, order, lines, false)
}

// DocumentQuietly makes a document as a module does that writes lines and leaves the
// order as it is, so that its updated_at stays.
func (s *Shop) DocumentQuietly(kind DocumentKind, order int64, lines map[int64]string) int64 {
	return s.document(kind, order, lines, true)
}

// ShipLate sends lines in a transaction that commits later: the shipment is dated now,
// and callers see neither it nor its quantities until visibleAfter has passed.
func (s *Shop) ShipLate(order int64, lines map[int64]string, visibleAfter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustOrder(order)
	statement := s.now()
	s.commitAfter(visibleAfter, func() { s.makeDocument(Shipments, order, lines, false, statement) })
}

func (s *Shop) document(kind DocumentKind, order int64, lines map[int64]string, quietly bool) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.settle(s.cfg.Now())
	return s.makeDocument(kind, order, lines, quietly, s.now())
}

// makeDocument makes a document dated at and takes it into its order's lines, and into
// the order itself unless quietly. The caller holds the lock.
func (s *Shop) makeDocument(kind DocumentKind, order int64, lines map[int64]string, quietly bool, at time.Time) int64 {
	r := s.mustOrder(order)
	d := Document{Kind: kind, OrderID: order, StoreID: r.StoreID, CreatedAt: at, UpdatedAt: at}
	moves := false
	s.store.orders.apply(r, func(o *Order) {
		before := o.State
		for i := range o.Lines {
			l := &o.Lines[i]
			quantity, wanted := lines[l.ID]
			if lines == nil {
				quantity, wanted = l.left(kind), true
			}
			if n := parseDecimal(quantity); wanted && n > 0 {
				d.Lines = append(d.Lines, DocumentLine{LineID: l.ID, Quantity: quantity})
				l.take(kind, n)
				l.UpdatedAt = at
			}
		}
		d.Sums = o.share(d.Lines)
		if !quietly {
			o.takeIn(kind, d.Sums)
			moves = kind != Shipments || o.State != before
		}
	}, time.Time{})
	if moves {
		r, _ = s.store.orders.find(order)
		s.store.orders.apply(r, func(*Order) {}, at)
	}
	return s.store.of(kind).add(d)
}

// left is what of a line no document of the kind has yet.
func (l *Line) left(kind DocumentKind) string {
	ordered := parseDecimal(l.Ordered) - parseDecimal(l.Canceled)
	switch kind {
	case Invoices:
		return (ordered - parseDecimal(l.Invoiced)).String()
	case Shipments:
		if l.Virtual || l.ParentID != 0 {
			return ""
		}
		return (ordered - parseDecimal(l.Shipped)).String()
	default:
		return (parseDecimal(l.Invoiced) - parseDecimal(l.Refunded)).String()
	}
}

// take adds a quantity to what the line has of a kind.
func (l *Line) take(kind DocumentKind, n decimal) {
	add := func(to *string, more decimal) { *to = (parseDecimal(*to) + more).String() }
	part := func(of string) decimal { return parseDecimal(of).of(n, parseDecimal(l.Ordered)) }
	switch kind {
	case Invoices:
		add(&l.Invoiced, n)
		add(&l.RowInvoiced, part(l.RowTotal))
		add(&l.BaseRowInvoiced, part(l.BaseRowTotal))
	case Shipments:
		add(&l.Shipped, n)
	default:
		add(&l.Refunded, n)
		add(&l.AmountRefunded, part(l.RowTotal))
		add(&l.BaseAmountRefunded, part(l.BaseRowTotal))
	}
}

// of is the share of d that n of all units have.
func (d decimal) of(n, all decimal) decimal {
	if all == 0 {
		return 0
	}
	return scale(int64(d)*int64(n), int64(all))
}

// share is what lines of a document amount to.
func (o *Order) share(lines []DocumentLine) Sums {
	sum := func(total func(*Line) (row, discount, tax string)) Sum {
		var subtotal, discount, tax decimal
		for _, one := range lines {
			l := o.line(one.LineID)
			if l.ParentID != 0 {
				continue
			}
			n, all := parseDecimal(one.Quantity), parseDecimal(l.Ordered)
			row, less, more := total(l)
			subtotal += parseDecimal(row).of(n, all)
			discount -= parseDecimal(less).of(n, all)
			tax += parseDecimal(more).of(n, all)
		}
		return Sum{
			Subtotal: subtotal.String(), Discount: discount.String(), Shipping: "0", Tax: tax.String(),
			Total: (subtotal + discount + tax).String(),
		}
	}
	return Sums{
		Of:   sum(func(l *Line) (string, string, string) { return l.RowTotal, l.Discount, l.Tax }),
		Base: sum(func(l *Line) (string, string, string) { return l.BaseRowTotal, l.BaseDiscount, l.BaseTax }),
	}
}

// takeIn adds what a document amounts to to the order's own columns, and lets its state
// follow.
func (o *Order) takeIn(kind DocumentKind, sums Sums) {
	switch kind {
	case Invoices:
		o.Invoiced = o.Invoiced.plus(sums)
		o.Due = (parseDecimal(o.Totals.Grand) - parseDecimal(o.Invoiced.Of.Total)).String()
		o.BaseDue = (parseDecimal(o.BaseTotals.Grand) - parseDecimal(o.Invoiced.Base.Total)).String()
	case CreditMemos:
		o.Refunded = o.Refunded.plus(sums)
	}
	done := func(kind DocumentKind) bool {
		return !slices.ContainsFunc(o.Lines, func(l Line) bool { return parseDecimal(l.left(kind)) > 0 })
	}
	state := "processing"
	switch {
	case o.Refunded != nil && done(CreditMemos) && done(Invoices):
		state = "closed"
	case done(Invoices) && done(Shipments):
		state = "complete"
	}
	if o.State != state {
		o.State, o.Status = state, state
	}
}

// plus adds sums to what there was, if anything.
func (s *Sums) plus(more Sums) *Sums {
	if s == nil {
		return &more
	}
	add := func(a, b Sum) Sum {
		one := func(x, y string) string { return (parseDecimal(x) + parseDecimal(y)).String() }
		return Sum{
			Subtotal: one(a.Subtotal, b.Subtotal), Discount: one(a.Discount, b.Discount), Shipping: one(a.Shipping, b.Shipping),
			Tax: one(a.Tax, b.Tax), Total: one(a.Total, b.Total),
		}
	}
	return &Sums{Of: add(s.Of, more.Of), Base: add(s.Base, more.Base)}
}

// total is how many units a document has: a configurable product's child counts in an
// invoice, and is in no shipment.
func (d *Document) total() string {
	var n decimal
	for _, l := range d.Lines {
		n += parseDecimal(l.Quantity)
	}
	return cmp.Or(n.String(), "0")
}
