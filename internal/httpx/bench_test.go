package httpx_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/httpx"
)

// BenchmarkChainAgainstBare compares the calls a second of the chain with those of a
// bare net/http client, on a loopback server that takes 20 ms. The two take short
// turns in changing order, so that a machine that slows down slows both.
func BenchmarkChainAgainstBare(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(20 * time.Millisecond)
		_, _ = io.WriteString(w, `{"id":1}`)
	}))
	b.Cleanup(srv.Close)
	for _, n := range []int{10, 20, 50} {
		b.Run(fmt.Sprintf("in_flight=%d", n), func(b *testing.B) {
			pool := &http.Transport{MaxIdleConnsPerHost: n}
			defer pool.CloseIdleConnections()
			tr := chain(b, httpx.Config{Concurrency: n})
			defer tr.CloseIdleConnections()
			clients := []*http.Client{{Transport: pool}, {Transport: tr}}
			for _, c := range clients {
				rate(b, c, srv.URL, n, 200*time.Millisecond) // connections
			}
			var sum [2]float64
			for b.Loop() {
				for _, i := range []int{0, 1, 1, 0} {
					sum[i] += rate(b, clients[i], srv.URL, n, 250*time.Millisecond) / 2
				}
			}
			b.ReportMetric(sum[0]/float64(b.N), "bare_calls/s")
			b.ReportMetric(sum[1]/float64(b.N), "chain_calls/s")
			b.ReportMetric(sum[1]/sum[0], "ratio")
			b.ReportMetric(0, "ns/op")
			if s := tr.Stats(); s.Limit != n || len(s.Failures) != 0 {
				b.Errorf("limit %d, failures %v", s.Limit, s.Failures)
			}
		})
	}
}

// rate returns the calls a second of n callers within d.
func rate(b *testing.B, c *http.Client, url string, n int, d time.Duration) float64 {
	b.Helper()
	var calls atomic.Int64
	began := time.Now()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for time.Since(began) < d {
				resp, err := c.Do(request(b, b.Context(), "GET", url, ""))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				calls.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(calls.Load()) / time.Since(began).Seconds()
}

// BenchmarkOverhead is what the chain itself costs a call: the Base is in memory.
func BenchmarkOverhead(b *testing.B) {
	base := memory{}
	for _, c := range []struct {
		name string
		rt   http.RoundTripper
	}{
		{"bare", base},
		{"chain", chain(b, httpx.Config{Base: base, Concurrency: 50})},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			req := request(b, b.Context(), "GET", address, "")
			for b.Loop() {
				resp, err := c.rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}

type memory struct{}

func (memory) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("ok"))}, nil
}
