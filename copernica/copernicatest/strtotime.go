package copernicatest

import (
	"strconv"
	"strings"
	"time"
)

// strtotime reads a date as PHP's function of that name does, as far as the live API
// was seen to (behaviours 21, 22): the usual numeric forms, month names, "@" and a
// timestamp, a few words, "+3 days", a zone. now gives the missing parts and the
// zone. The result is in now's zone; a time that a change to summer time skips is
// moved on by its length. ok is false for what PHP cannot read.
func strtotime(s string, now time.Time) (t time.Time, ok bool) {
	p := dateParser{s: strings.ToLower(s), now: now, zone: now.Location()}
	p.year, p.day = now.Year(), now.Day()
	p.month = int(now.Month())
	p.hour, p.minute, p.second = now.Clock()
	for {
		p.skip(" \t,")
		if p.at == len(p.s) {
			break
		}
		if !p.item() {
			return time.Time{}, false
		}
	}
	if p.dated && !p.timed {
		p.hour, p.minute, p.second = 0, 0, 0
	}
	if p.stamp != nil {
		return time.Unix(*p.stamp, 0).In(now.Location()), true
	}
	year, month, day := p.year+p.plus[0], p.month+p.plus[1], p.day+p.plus[2]
	return local(year, month, day, p.hour, p.minute, p.second, p.zone).
		Add(time.Duration(p.plus[3]) * time.Second).In(now.Location()), true
}

// local is the moment of a wall time. A wall time that occurs twice is the first,
// one that never occurs is read with the offset before the gap, as PHP does.
func local(year, month, day, hour, minute, second int, zone *time.Location) time.Time {
	wall := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(zone).Zone()
	t := wall.Add(-time.Duration(before) * time.Second).In(zone)
	if _, offset := t.Zone(); offset == before || before == after {
		return t
	}
	u := wall.Add(-time.Duration(after) * time.Second).In(zone)
	if _, offset := u.Zone(); offset == after {
		return u
	}
	return t
}

// dateParser reads one item after the other; each kind may come once.
type dateParser struct {
	s    string
	at   int
	now  time.Time
	zone *time.Location

	dated, timed, zoned                    bool
	year, month, day, hour, minute, second int
	plus                                   [4]int // years, months, days, seconds
	stamp                                  *int64
}

func (p *dateParser) skip(set string) {
	for p.at < len(p.s) && strings.IndexByte(set, p.s[p.at]) >= 0 {
		p.at++
	}
}

func (p *dateParser) peek() byte {
	if p.at < len(p.s) {
		return p.s[p.at]
	}
	return 0
}

func (p *dateParser) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.at++
	return true
}

// digits reads a run of digits.
func (p *dateParser) digits() string {
	from := p.at
	for p.at < len(p.s) && p.s[p.at] >= '0' && p.s[p.at] <= '9' {
		p.at++
	}
	return p.s[from:p.at]
}

func (p *dateParser) word() string {
	from := p.at
	for p.at < len(p.s) && p.s[p.at] >= 'a' && p.s[p.at] <= 'z' {
		p.at++
	}
	return p.s[from:p.at]
}

// upTo reads a run of 1 or 2 digits that is at most limit.
func (p *dateParser) upTo(limit int) (int, bool) {
	d := p.digits()
	n, err := strconv.Atoi(d)
	return n, err == nil && len(d) <= 2 && n <= limit
}

func (p *dateParser) item() bool {
	c := p.peek()
	switch {
	case c == '@':
		return p.timestamp()
	case c >= '0' && c <= '9':
		return p.numeric()
	case c == '+' || c == '-':
		if p.timed && !p.zoned && p.offset() {
			return true
		}
		return p.relative()
	case c >= 'a' && c <= 'z':
		return p.named()
	default:
		return false
	}
}

func (p *dateParser) timestamp() bool {
	p.at++
	sign := int64(1)
	if p.take('-') {
		sign = -1
	}
	n, err := strconv.ParseInt(p.digits(), 10, 64)
	if err != nil || p.stamp != nil || p.at != len(p.s) {
		return false
	}
	n *= sign
	p.stamp = &n
	return true
}

// numeric reads what begins with a digit.
func (p *dateParser) numeric() bool {
	first := p.digits()
	n, _ := strconv.Atoi(first)
	switch sep := p.peek(); {
	case len(first) == 4 && (sep == '-' || sep == '/'):
		p.at++
		month, ok := p.upTo(12)
		if !ok {
			return false
		}
		if !p.take(sep) {
			return sep == '-' && p.date(n, month, 1)
		}
		day, ok := p.upTo(31)
		return ok && p.date(n, month, day)
	case len(first) <= 2 && (sep == '-' || sep == '.'):
		p.at++
		month, ok := p.upTo(12)
		if !ok || !p.take(sep) {
			return false
		}
		year := p.digits()
		y, _ := strconv.Atoi(year)
		return len(year) == 4 && n <= 31 && p.date(y, month, n)
	case len(first) <= 2 && sep == '/':
		p.at++
		day, ok := p.upTo(31)
		if !ok || n > 12 {
			return false
		}
		if !p.take('/') {
			return p.date(p.year, n, day)
		}
		year := p.digits()
		y, _ := strconv.Atoi(year)
		return len(year) == 4 && p.date(y, n, day)
	case len(first) <= 2 && sep == ':':
		return p.clock(n)
	case len(first) == 8:
		return p.date(n/10_000, n/100%100, n%100) && n/100%100 <= 12 && n%100 <= 31
	case len(first) == 4 && !p.timed && n/100 <= 24 && n%100 < 60:
		p.hour, p.minute, p.second = n/100, n%100, 0
		p.timed = true
		return true
	case len(first) == 4:
		p.year = n
		return true
	case len(first) <= 2:
		return p.dayMonth(n)
	default:
		return false
	}
}

func (p *dateParser) date(year, month, day int) bool {
	if p.dated || p.peek() >= '0' && p.peek() <= '9' {
		return false
	}
	p.year, p.month, p.day, p.dated = year, month, day, true
	return true
}

func (p *dateParser) clock(hour int) bool {
	p.at++
	minute, ok := p.upTo(59)
	if !ok || hour > 24 || p.timed {
		return false
	}
	second := 0
	if p.take(':') {
		if second, ok = p.upTo(59); !ok {
			return false
		}
		if p.take('.') && p.digits() == "" {
			return false
		}
	}
	p.hour, p.minute, p.second, p.timed = hour, minute, second, true
	return true
}

// dayMonth reads "2 january", with or without a year.
func (p *dateParser) dayMonth(day int) bool {
	p.skip(" -")
	m := month(p.word())
	if m == 0 || day > 31 {
		return false
	}
	return p.date(p.yearAfter(), m, day)
}

// yearAfter reads a year if one follows that is not a time.
func (p *dateParser) yearAfter() int {
	mark := p.at
	p.skip(" ,-")
	if d := p.digits(); len(d) == 4 && p.peek() != ':' {
		y, _ := strconv.Atoi(d)
		return y
	}
	p.at = mark
	return p.year
}
