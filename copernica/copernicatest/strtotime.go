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

// offset reads "+01:00", "+0100" or "+1" after a time.
func (p *dateParser) offset() bool {
	mark, sign := p.at, 1
	if p.s[p.at] == '-' {
		sign = -1
	}
	p.at++
	d := p.digits()
	n, _ := strconv.Atoi(d)
	hours, minutes := n, 0
	switch {
	case len(d) == 4:
		hours, minutes = n/100, n%100
	case len(d) == 1 || len(d) == 2:
		if p.take(':') {
			m, ok := p.upTo(59)
			if !ok {
				return false
			}
			minutes = m
		}
	default:
		p.at = mark
		return false
	}
	if end := p.at; p.relativeUnitFollows() {
		p.at = mark
		return false
	} else {
		p.at = end
	}
	p.zone, p.zoned = time.FixedZone("", sign*(hours*3600+minutes*60)), true
	return true
}

func (p *dateParser) relativeUnitFollows() bool {
	p.skip(" ")
	_, _, ok := unit(p.word())
	return ok
}

func (p *dateParser) relative() bool {
	sign := 1
	if p.s[p.at] == '-' {
		sign = -1
	}
	p.at++
	p.skip(" ")
	n, err := strconv.Atoi(p.digits())
	p.skip(" ")
	slot, factor, ok := unit(p.word())
	if err != nil || !ok {
		return false
	}
	p.plus[slot] += sign * n * factor
	return true
}

// unit names a place in plus and how many of its units a word stands for.
func unit(word string) (slot, factor int, ok bool) {
	switch strings.TrimSuffix(word, "s") {
	case "year":
		return 0, 1, true
	case "month":
		return 1, 1, true
	case "week":
		return 2, 7, true
	case "day":
		return 2, 1, true
	case "hour":
		return 3, 3600, true
	case "minute", "min":
		return 3, 60, true
	case "second", "sec":
		return 3, 1, true
	default:
		return 0, 0, false
	}
}

// named reads what begins with a letter.
func (p *dateParser) named() bool {
	mark := p.at
	word := p.word()
	if word == "t" && p.dated && !p.timed && p.peek() >= '0' && p.peek() <= '9' {
		return true
	}
	if m := month(word); m != 0 {
		return p.monthDay(m)
	}
	midnight := func(days int) bool {
		p.plus[2] += days
		p.hour, p.minute, p.second, p.timed = 0, 0, 0, true
		return true
	}
	switch word {
	case "now":
		return true
	case "today", "midnight":
		return midnight(0)
	case "yesterday":
		return midnight(-1)
	case "tomorrow":
		return midnight(1)
	case "noon":
		p.hour, p.minute, p.second, p.timed = 12, 0, 0, true
		return true
	case "mon", "tue", "wed", "thu", "fri", "sat", "sun":
		return true // as in an HTTP date, which names the day as well
	}
	if p.zoned {
		return false
	}
	p.zoned = true
	switch {
	case word == "utc" || word == "gmt" || word == "z":
		p.zone = time.UTC
	case word == "cet":
		p.zone = time.FixedZone("CET", 3600)
	case word == "cest":
		p.zone = time.FixedZone("CEST", 7200)
	case strings.HasPrefix(p.s[mark:], "europe/amsterdam"):
		p.at = mark + len("europe/amsterdam")
	case len(word) == 1 && word != "j":
		p.military(word[0])
	default:
		return false
	}
	return true
}

// military reads a letter as a zone. Alone it means now: the parts that are missing
// are those of now in that zone.
func (p *dateParser) military(c byte) {
	hours := 0
	switch {
	case c <= 'i':
		hours = int(c-'a') + 1
	case c <= 'm':
		hours = int(c - 'a')
	case c <= 'y':
		hours = -int(c-'n') - 1
	}
	p.zone = time.FixedZone("", hours*3600)
	if !p.dated && !p.timed {
		there := p.now.In(p.zone)
		p.year, p.month, p.day = there.Year(), int(there.Month()), there.Day()
		p.hour, p.minute, p.second = there.Clock()
	}
}

// monthDay reads "january 2, 2020" and "jan 2020".
func (p *dateParser) monthDay(m int) bool {
	p.skip(" ")
	mark := p.at
	switch d := p.digits(); len(d) {
	case 0:
		return p.date(p.year, m, p.day)
	case 4:
		y, _ := strconv.Atoi(d)
		return p.date(y, m, 1)
	case 1, 2:
		n, _ := strconv.Atoi(d)
		if p.peek() == ':' {
			p.at = mark
			return p.date(p.year, m, p.day)
		}
		return n <= 31 && p.date(p.yearAfter(), m, n)
	default:
		return false
	}
}

func month(word string) int {
	for m := time.January; m <= time.December; m++ {
		name := strings.ToLower(m.String())
		if word == name || word == name[:3] || word == "sept" && m == time.September {
			return int(m)
		}
	}
	return 0
}
