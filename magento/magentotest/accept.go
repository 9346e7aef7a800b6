package magentotest

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// rendering prints answers in one of the shop's two formats.
type rendering struct {
	contentType string
	append      func([]byte, any) []byte
}

// printer returns the format that an Accept header asks for: the first supported type
// by weight. Nothing asked is JSON; only unsupported types are no format at all, which
// the shop answers with an HTML page and status 500 (recordings accept-*).
func printer(accept []string) (rendering, bool) {
	json := rendering{"application/json; charset=utf-8", appendJSON}
	xml := rendering{"application/xml; charset=utf-8", appendXML}
	if len(accept) == 0 || strings.TrimSpace(accept[0]) == "" {
		return json, true
	}
	type wish struct {
		kind   string
		weight float64
	}
	var wishes []wish
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, parameters, _ := strings.Cut(part, ";")
		w := wish{strings.ToLower(strings.TrimSpace(kind)), 1}
		if q, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			w.weight, _ = strconv.ParseFloat(q, 64)
		}
		wishes = append(wishes, w)
	}
	slices.SortStableFunc(wishes, func(a, b wish) int { return cmp.Compare(b.weight, a.weight) })
	for _, w := range wishes {
		switch w.kind {
		case "*/*", "application/json":
			return json, true
		case "application/xml", "text/xml", "application/xhtml+xml":
			return xml, true
		}
	}
	return rendering{}, false
}
