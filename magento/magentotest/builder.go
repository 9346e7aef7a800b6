package magentotest

import (
	"strings"
	"time"
)

// builder makes an object of an answer. It leaves out what the fields parameter does
// not select: an order has some 150 members and as many again for each line, and most
// callers want a tenth of them.
type builder struct {
	want selection // nil: everything
	out  object
}

func (b *builder) wants(name string) bool {
	if b.want == nil {
		return true
	}
	_, ok := b.want[name]
	return ok
}

// any adds what make returns for the selection below name.
func (b *builder) any(name string, value func(below selection) any) {
	if b.wants(name) {
		b.out = append(b.out, member{name, value(b.want[name])})
	}
}

func (b *builder) number(name string, v int64) {
	if b.wants(name) {
		b.out = append(b.out, member{name, v})
	}
}

func (b *builder) string(name, v string) {
	if b.wants(name) {
		b.out = append(b.out, member{name, v})
	}
}

func (b *builder) time(name string, v time.Time) {
	if b.wants(name) {
		b.out = append(b.out, member{name, v.Format(time.DateTime)})
	}
}

// text and id add a value unless it is empty.
func (b *builder) text(name, v string) {
	if v != "" {
		b.string(name, v)
	}
}

func (b *builder) id(name string, v int64) {
	if v != 0 {
		b.number(name, v)
	}
}

// amount adds an exact decimal; "" is 0.
func (b *builder) amount(name, v string) {
	if !b.wants(name) {
		return
	}
	if strings.Contains(v, ".") {
		v = strings.TrimRight(strings.TrimRight(v, "0"), ".")
	}
	if v == "" || v == "-0" {
		v = "0"
	}
	b.out = append(b.out, member{name, literal(v)})
}

// zero adds an amount that this shop never has.
func (b *builder) zero(names ...string) {
	for _, name := range names {
		b.number(name, 0)
	}
}
