package health

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// family is a metric with its samples, as they are at one moment.
type family struct {
	name, help string
	kind       prometheus.ValueType
	samples    []sample
}

type sample struct {
	value         float64
	names, values []string // of its labels
}

func counter(name, help string) *family {
	return &family{name: name, help: help, kind: prometheus.CounterValue}
}

func gauge(name, help string) *family {
	return &family{name: name, help: help, kind: prometheus.GaugeValue}
}

// add adds the sample with labels, which are names and values in turn.
func (f *family) add(value float64, labels ...string) {
	s := sample{value: value}
	for i, text := range labels {
		if i%2 == 0 {
			s.names = append(s.names, text)
		} else {
			s.values = append(s.values, strings.ToValidUTF8(text, "\uFFFD"))
		}
	}
	f.samples = append(f.samples, s)
}

// snapshot is a collector of what was read for one answer.
type snapshot []*family

// Describe describes nothing: which samples there are is known when they are collected.
func (snapshot) Describe(chan<- *prometheus.Desc) {}

// Collect sends each sample.
func (s snapshot) Collect(out chan<- prometheus.Metric) {
	for _, f := range s {
		for _, one := range f.samples {
			d := prometheus.NewDesc(f.name, f.help, one.names, nil)
			m, err := prometheus.NewConstMetric(d, f.kind, one.value, one.values...)
			if err != nil {
				m = prometheus.NewInvalidMetric(d, err)
			}
			out <- m
		}
	}
}
