package emulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/emulator"
)

// peer is a wrapped handler that counts the calls it worked and answers "0123456789".
type peer struct {
	faults emulator.Faults
	log    emulator.Log
	worked atomic.Int64
}

func (p *peer) handler() http.Handler {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.worked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "0123456789")
	})
	return emulator.Wrap(h, &p.faults, &p.log, func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) })
}

type answer struct {
	Status int
	Body   string
	Err    string
}

func do(ctx context.Context, client *http.Client, method, url string) (answer, http.Header) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader("hello"))
	if err != nil {
		return answer{Err: err.Error()}, nil
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{Err: name(err)}, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{Status: resp.StatusCode, Body: string(body), Err: name(err)}, resp.Header
}

// name reduces an error to its kind, which differs in wording between transports.
func name(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "cut"
	default:
		return err.Error()
	}
}

// TestFaults shows each kind of fault, before and after the call is worked, in
// memory and over TCP.
func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		fault  emulator.Fault
		want   answer
		worked int64
		status int // as logged
	}{
		{"status before", emulator.Fault{Status: 503, Body: "no"}, answer{Status: 503, Body: "no"}, 0, 503},
		{"status after", emulator.Fault{Status: 502, After: true}, answer{Status: 502}, 1, 502},
		{"html before", emulator.Fault{Kind: emulator.HTML, Body: "<p>"}, answer{Status: 200, Body: "<p>"}, 0, 200},
		{"html after", emulator.Fault{Kind: emulator.HTML, Status: 404, Body: "<p>", After: true}, answer{Status: 404, Body: "<p>"}, 1, 404},
		{"reset before", emulator.Fault{Kind: emulator.Reset}, answer{Err: "reset"}, 0, 0},
		{"reset after", emulator.Fault{Kind: emulator.Reset, After: true}, answer{Err: "reset"}, 1, 0},
		{"truncate", emulator.Fault{Kind: emulator.Truncate}, answer{Status: 200, Body: "01234", Err: "cut"}, 1, 200},
		{"delay before", emulator.Fault{Kind: emulator.Delay, Delay: time.Millisecond}, answer{Status: 200, Body: "0123456789"}, 1, 200},
		{"delay after", emulator.Fault{Kind: emulator.Delay, Delay: time.Millisecond, After: true}, answer{Status: 200, Body: "0123456789"}, 1, 200},
		{"late before", emulator.Fault{Kind: emulator.Delay, Delay: time.Hour}, answer{Err: "deadline"}, 0, 0},
		{"late after", emulator.Fault{Kind: emulator.Delay, Delay: time.Hour, After: true}, answer{Err: "deadline"}, 1, 0},
		{"hang before", emulator.Fault{Kind: emulator.Hang}, answer{Err: "deadline"}, 0, 0},
		{"hang after", emulator.Fault{Kind: emulator.Hang, After: true}, answer{Err: "deadline"}, 1, 0},
	}
	for _, tt := range tests {
		check := func(t *testing.T, client *http.Client, url string, settle func()) {
			t.Helper()
			var p peer
			fault := tt.fault
			fault.Name = "planned"
			handle := p.faults.Add(fault)
			h := p.handler()
			if client == nil {
				client = &http.Client{Transport: emulator.Transport(h)}
			} else {
				server := httptest.NewServer(h)
				defer server.Close()
				url = server.URL
			}
			limit := time.Minute
			if strings.Contains(tt.want.Err, "deadline") {
				limit = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			got, _ := do(ctx, client, http.MethodPost, url+"/x")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			settle()
			for _, r := range p.log.Recent() {
				if r.Status != tt.status || r.Fault != "planned" {
					t.Errorf("logged %+v, want status %d and the fault's name", r, tt.status)
				}
			}
			if p.worked.Load() != tt.worked || handle.Hits() != 1 {
				t.Errorf("worked %d of %d, hits %d", p.worked.Load(), tt.worked, handle.Hits())
			}
		}
		t.Run("memory/"+tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { check(t, nil, "http://peer.test", synctest.Wait) })
		})
		t.Run("tcp/"+tt.name, func(t *testing.T) {
			t.Parallel()
			check(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "", func() {})
		})
	}
}

func TestFaultsPickCalls(t *testing.T) {
	t.Parallel()
	get := func(p *peer, method, path string) int {
		got, _ := do(t.Context(), &http.Client{Transport: emulator.Transport(p.handler())}, method, "http://peer.test"+path)
		return got.Status
	}
	tests := []struct {
		name  string
		fault emulator.Fault
		want  []int
	}{
		{"all", emulator.Fault{}, []int{500, 500, 500, 500, 500, 500}},
		{"twice", emulator.Fault{Times: 2}, []int{500, 500, 200, 200, 200, 200}},
		{"after two", emulator.Fault{Skip: 2, Times: 1}, []int{200, 200, 500, 200, 200, 200}},
		{"each third", emulator.Fault{Every: 3}, []int{200, 200, 500, 200, 200, 500}},
		{"other method", emulator.Fault{Method: "PUT"}, []int{200, 200, 200, 200, 200, 200}},
		{"other path", emulator.Fault{PathContains: "/y"}, []int{200, 200, 200, 200, 200, 200}},
		{"matched", emulator.Fault{Match: func(r *http.Request) bool { return r.Method == "GET" }, Times: 1}, []int{500, 200, 200, 200, 200, 200}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var p peer
			h := p.faults.Add(tt.fault)
			var got []int
			for range 6 {
				got = append(got, get(&p, http.MethodGet, "/x"))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
			h.Remove()
			if s := get(&p, http.MethodGet, "/x"); s != 200 {
				t.Errorf("a removed fault answers %d", s)
			}
		})
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var p peer
	client := &http.Client{Transport: emulator.Transport(p.handler())}
	for range 3000 {
		if _, header := do(t.Context(), client, http.MethodPut, "http://peer.test/v4/profile/12?access_token=abc&x=1&fields[]=a"); header.Get("Date") != "Fri, 02 Jan 2026 03:04:05 GMT" {
			t.Fatalf("Date %q", header.Get("Date"))
		}
	}
	recent := p.log.Recent()
	if p.log.Total() != 3000 || len(recent) != 1024 {
		t.Errorf("total %d, remembered %d", p.log.Total(), len(recent))
	}
	want := emulator.Request{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Method: "PUT", Path: "/v4/profile/12",
		Query: "access_token=***&x=1&fields[]=a", Status: 200, Body: 5,
	}
	if diff := cmp.Diff(want, recent[0]); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"PUT /v4/profile/{id}": 3000}, p.log.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	p.log.Reset()
	if p.log.Total() != 0 || len(p.log.Recent()) != 0 {
		t.Error("reset log is not empty")
	}
}

// TestTransportStreams shows that an answer can be read while it is written, and
// that the handler learns of a caller that leaves.
func TestTransportStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		left := make(chan struct{})
		client := &http.Client{Transport: emulator.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "first")
			<-r.Context().Done()
			close(left)
		}))}
		resp, err := client.Get("http://peer.test/")
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 5)
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "first" {
			t.Errorf("read %q, %v", buf, err)
		}
		resp.Body.Close()
		<-left
	})
}
