package copernicatest

import (
	"strconv"
	"strings"
	"time"
)

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
				p.at = mark
				return false
			}
			minutes = m
		}
	default:
		p.at = mark
		return false
	}
	end := p.at
	if p.relativeUnitFollows() {
		p.at = mark
		return false
	}
	p.at = end
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
