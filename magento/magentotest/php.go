package magentotest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Answers are trees of these and of string, int64, bool and nil: what PHP prints as
// JSON or XML. An object keeps the order of its members, a literal is a number as text.
type (
	object []member
	member struct {
		name  string
		value any
	}
	list    []any
	literal string
)

// without returns the object without a member.
func (o object) without(name string) object {
	return slices.DeleteFunc(o, func(m member) bool { return m.name == name })
}

// appendJSON prints v as PHP's json_encode does by default: one line of ASCII, \uXXXX
// for everything beyond it and \/ for a slash.
func appendJSON(out []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		for i, m := range v {
			out = append(out, "{,"[min(i, 1)])
			out = append(appendJSONString(out, m.name), ':')
			out = appendJSON(out, m.value)
		}
		if len(v) == 0 {
			out = append(out, '[') // PHP has no empty object
			return append(out, ']')
		}
		return append(out, '}')
	case list:
		out = append(out, '[')
		for i, item := range v {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendJSON(out, item)
		}
		return append(out, ']')
	case string:
		return appendJSONString(out, v)
	case int64:
		return strconv.AppendInt(out, v, 10)
	case literal:
		return append(out, v...)
	case bool:
		return strconv.AppendBool(out, v)
	case nil:
		return append(out, "null"...)
	default:
		panic(fmt.Sprintf("magentotest: a %T in an answer", v))
	}
}

func appendJSONString(out []byte, s string) []byte {
	out = append(out, '"')
	for _, r := range s {
		switch {
		case strings.ContainsRune(`"\/`, r):
			out = append(out, '\\', byte(r))
		case r >= ' ' && r < utf8.RuneSelf:
			out = append(out, byte(r))
		case strings.ContainsRune("\b\f\n\r\t", r):
			out = append(out, '\\', "btn_fr"[r-'\b'])
		default:
			if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
				out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
			} else {
				out = appendHex(out, r)
			}
		}
	}
	return append(out, '"')
}

func appendHex(out []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(out, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// appendXML prints v as the shop's XML renderer does: indented, list items as <item>,
// numeric references beyond ASCII.
func appendXML(out []byte, v any) []byte {
	out = append(out, "<?xml version=\"1.0\"?>\n"...)
	return appendElement(out, "response", v, 0)
}

func appendElement(out []byte, name string, v any, depth int) []byte {
	indent := strings.Repeat("  ", depth)
	out = append(out, indent+"<"+name+">"...)
	switch v := v.(type) {
	case object:
		out = append(out, '\n')
		for _, m := range v {
			out = appendElement(out, m.name, m.value, depth+1)
		}
		out = append(out, indent...)
	case list:
		if len(v) > 0 {
			out = append(out, '\n')
			for _, item := range v {
				out = appendElement(out, "item", item, depth+1)
			}
			out = append(out, indent...)
		}
	case string:
		out = appendXMLText(out, v)
	case nil:
	default:
		out = fmt.Append(out, v)
	}
	return append(out, "</"+name+">\n"...)
}

func appendXMLText(out []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r >= utf8.RuneSelf:
			out = fmt.Appendf(out, "&#x%X;", r)
		case r == '<':
			out = append(out, "&lt;"...)
		case r == '>':
			out = append(out, "&gt;"...)
		case r == '&':
			out = append(out, "&amp;"...)
		default:
			out = append(out, byte(r))
		}
	}
	return out
}
