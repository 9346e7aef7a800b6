package health

import (
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// breakerStates are the states of a circuit breaker.
var breakerStates = []string{"closed", "open", "half_open"}

// metrics answers in the form that Prometheus asks for, with what is true at this moment.
func (h *Handler) metrics(w http.ResponseWriter, r *http.Request) {
	now := h.snapshot(r.Context())
	all := slices.Concat(h.Work.families(), peerFamilies(now.Peers), stateFamilies(now), h.processFamilies())
	registry := prometheus.NewRegistry()
	registry.MustRegister(snapshot(all)) // it describes nothing, so nothing can be in conflict
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
}

func peerFamilies(peers []Peer) []*family {
	calls := counter("syncd_peer_calls_total", "Calls made to a peer, each attempt counted.")
	retries := counter("syncd_peer_retries_total", "Further attempts among the calls.")
	failures := counter("syncd_peer_failures_total", "Failed attempts and refused calls by kind.")
	flight := gauge("syncd_peer_calls_in_flight", "Calls to a peer under way.")
	breaker := gauge("syncd_peer_breaker_state", "1 for the state in which a peer's circuit breaker is, 0 for the others.")
	for _, p := range peers {
		calls.add(float64(p.Calls), "peer", p.Name)
		retries.add(float64(p.Retries), "peer", p.Name)
		flight.add(float64(p.InFlight), "peer", p.Name)
		for kind, n := range p.Failures {
			failures.add(float64(n), "peer", p.Name, "kind", kind)
		}
		for _, state := range breakerStates {
			breaker.add(truth(p.Breaker == state), "peer", p.Name, "state", state)
		}
	}
	return []*family{calls, retries, failures, flight, breaker}
}

func stateFamilies(now Snapshot) []*family {
	up := gauge("syncd_state_up", "1 when the state could be read for this answer; else 0, and what comes from it is absent.")
	up.add(truth(now.Problem == ""))
	if now.Problem != "" {
		return []*family{up}
	}
	lag := gauge("syncd_stream_lag_seconds", "How far Copernica is behind the shop, on the shop's clock. Absent before the first finished pass.")
	most := gauge("syncd_stream_max_lag_seconds", "How far a stream may be behind before /readyz turns red.")
	horizon := gauge("syncd_stream_horizon_timestamp_seconds", "Copernica has every change before this moment, in seconds since 1970. Absent before the first finished pass.")
	ready := gauge("syncd_stream_ready", "1 when a stream is no staler than promised, else 0.")
	for _, s := range now.Streams {
		_, late := s.Late()
		ready.add(truth(!late), "stream", s.Name)
		most.add(s.MaxLag.Seconds(), "stream", s.Name)
		if !s.Horizon.IsZero() {
			lag.add(s.Lag.Seconds(), "stream", s.Name)
			horizon.add(float64(s.Horizon.UnixMilli())/1000, "stream", s.Name)
		}
	}
	letters := gauge("syncd_dead_letters_open", "Open dead letters by cause. A cause without any is absent.")
	for cause, n := range now.Letters {
		letters.add(float64(n), "cause", cause)
	}
	rows := gauge("syncd_ledger_rows", "Rows of the ledger by entity and state.")
	for _, r := range now.Rows {
		rows.add(float64(r.Count), "entity", r.Entity, "state", r.State)
	}
	optOuts := gauge("syncd_opt_outs_returned", "Opt-outs made in Copernica that were settled, by where they were made, as far as the state has them: with the shop, or, of guests, without.")
	for source, n := range now.OptOuts {
		optOuts.add(float64(n), "source", source)
	}
	lease := gauge("syncd_lease_held", "1 while this process holds the pipeline's writer lease, as it does during a run; else 0.")
	lease.add(truth(now.Lease))
	return []*family{up, lag, most, horizon, ready, letters, rows, optOuts, lease}
}

// processFamilies have the names that Prometheus' own client library gives them.
func (h *Handler) processFamilies() []*family {
	start := gauge("process_start_time_seconds", "Start time of the process, in seconds since 1970.")
	start.add(float64(h.began.UnixMilli()) / 1000)
	goroutines := gauge("go_goroutines", "Number of goroutines that currently exist.")
	goroutines.add(float64(runtime.NumGoroutine()))
	memory := gauge("process_resident_memory_bytes", "Resident memory size in bytes. Absent where there is no /proc.")
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(statm)); len(fields) > 1 {
			if pages, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				memory.add(float64(pages * int64(os.Getpagesize())))
			}
		}
	}
	return []*family{start, goroutines, memory}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
