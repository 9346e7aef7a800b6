package magentotest

import (
	"regexp"
	"slices"
)

// selection is a parsed `fields` parameter: the wanted names, each with the selection
// below it, nil where the whole value is wanted.
type selection map[string]selection

var fieldsPattern = regexp.MustCompile(`^[\w\[\],]*$`)

// parseFields reads `items[id,extension_attributes[is_subscribed]],total_count`. A
// malformed one is reported as false: the shop then answers 200 with `[]` (recording
// customers-search-fields-malformed).
func parseFields(s string) (selection, bool) {
	if !fieldsPattern.MatchString(s) {
		return nil, false
	}
	top := selection{}
	stack := []selection{top}
	name := ""
	take := func() {
		if name != "" {
			stack[len(stack)-1][name] = nil
		}
		name = ""
	}
	for _, r := range s {
		switch r {
		case '[':
			if name == "" {
				return nil, false
			}
			below := selection{}
			stack[len(stack)-1][name] = below
			stack, name = append(stack, below), ""
		case ']':
			take()
			if len(stack) == 1 {
				return nil, false
			}
			stack = stack[:len(stack)-1]
		case ',':
			take()
		default:
			name += string(r)
		}
	}
	take()
	return top, len(stack) == 1
}

// pick reduces an answer to the selection. Members keep their order, unknown names are
// dropped, and an empty list whose members were selected becomes null (recording
// customers-search-no-match-with-fields).
func (want selection) pick(v any) any {
	switch v := v.(type) {
	case list:
		if len(v) == 0 {
			return nil
		}
		out := make(list, len(v))
		for i, item := range v {
			out[i] = want.pick(item)
		}
		return out
	case object:
		out := slices.DeleteFunc(slices.Clone(v), func(m member) bool {
			_, ok := want[m.name]
			return !ok
		})
		for i, m := range out {
			if below := want[m.name]; below != nil {
				out[i].value = below.pick(m.value)
			}
		}
		return out
	default:
		return v
	}
}
