package health

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// family is a metric with its samples, by label.
type family struct {
	name, help, kind string
	samples          map[string]float64 // by their labels as they are printed
}

func counter(name, help string) *family {
	return &family{name, help, "counter", map[string]float64{}}
}

func gauge(name, help string) *family {
	return &family{name, help, "gauge", map[string]float64{}}
}

// A label's value is escaped as the text format has it, and so is a help.
var (
	labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
)

// add sets the sample with labels, which are names and values in turn.
func (f *family) add(value float64, labels ...string) {
	var b strings.Builder
	for i, text := range labels {
		switch {
		case i%2 == 1:
			b.WriteString(`="` + labelEscapes.Replace(strings.ToValidUTF8(text, "\uFFFD")) + `"`)
		case i > 0:
			b.WriteString("," + text)
		default:
			b.WriteString(text)
		}
	}
	f.samples[b.String()] = value
}

// write prints families in the text format of Prometheus, their samples in order.
// A family without samples is left out.
func write(out *bytes.Buffer, families []*family) {
	for _, f := range families {
		if len(f.samples) == 0 {
			continue
		}
		out.WriteString("# HELP " + f.name + " " + helpEscapes.Replace(f.help) + "\n# TYPE " + f.name + " " + f.kind + "\n")
		labels := make([]string, 0, len(f.samples))
		for l := range f.samples {
			labels = append(labels, l)
		}
		slices.Sort(labels)
		for _, l := range labels {
			out.WriteString(f.name)
			if l != "" {
				out.WriteString("{" + l + "}")
			}
			out.WriteString(" " + strconv.FormatFloat(f.samples[l], 'g', -1, 64) + "\n")
		}
	}
}
