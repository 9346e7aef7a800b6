package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/health"
)

var (
	noon     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	fresh    = health.Stream{Name: "customers", Horizon: noon.Add(-10 * time.Minute), Lag: 10 * time.Minute, MaxLag: 30 * time.Minute}
	atLimit  = health.Stream{Name: "orders", Horizon: noon.Add(-30 * time.Minute), Lag: 30 * time.Minute, MaxLag: 30 * time.Minute}
	stale    = health.Stream{Name: "orders", Horizon: noon.Add(-31 * time.Minute), Lag: 31*time.Minute + 5*time.Second, MaxLag: 30 * time.Minute}
	neverRan = health.Stream{Name: "orders", MaxLag: 30 * time.Minute}
)

func newHandler(t *testing.T, source func(context.Context) health.Snapshot) *health.Handler {
	t.Helper()
	h, err := health.New(health.Config{Source: source, Fresh: -1, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// steady is a source of one snapshot.
func steady(s health.Snapshot) func(context.Context) health.Snapshot {
	return func(context.Context) health.Snapshot { return s }
}

func get(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
	return rec
}

func TestPromise24_ReadinessIsFreshness(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		now    health.Snapshot
		status int
		want   string
	}{
		{
			"no stream",
			health.Snapshot{},
			200,
			`{"ready":true,"at":"2026-11-22T12:00:00Z","problem":"","streams":[]}`,
		},
		{
			"fresh, one of them just so",
			health.Snapshot{Streams: []health.Stream{fresh, atLimit}},
			200,
			`{"ready":true,"at":"2026-11-22T12:00:00Z","problem":"","streams":[
				{"name":"customers","ready":true,"horizon":"2026-11-22T11:50:00Z","lag_seconds":600,"late_seconds":0,"max_lag_seconds":1800},
				{"name":"orders","ready":true,"horizon":"2026-11-22T11:30:00Z","lag_seconds":1800,"late_seconds":0,"max_lag_seconds":1800}]}`,
		},
		{
			"one is stale",
			health.Snapshot{Streams: []health.Stream{fresh, stale}},
			503,
			`{"ready":false,"at":"2026-11-22T12:00:00Z","problem":"a stream is staler than promised, or has not finished its first pass","streams":[
				{"name":"customers","ready":true,"horizon":"2026-11-22T11:50:00Z","lag_seconds":600,"late_seconds":0,"max_lag_seconds":1800},
				{"name":"orders","ready":false,"horizon":"2026-11-22T11:29:00Z","lag_seconds":1865,"late_seconds":65,"max_lag_seconds":1800}]}`,
		},
		{
			"the first pass goes on",
			health.Snapshot{Streams: []health.Stream{neverRan}},
			503,
			`{"ready":false,"at":"2026-11-22T12:00:00Z","problem":"a stream is staler than promised, or has not finished its first pass","streams":[
				{"name":"orders","ready":false,"horizon":null,"lag_seconds":null,"late_seconds":null,"max_lag_seconds":1800}]}`,
		},
		{
			"nothing is known",
			health.Snapshot{Problem: "the state cannot be read"},
			503,
			`{"ready":false,"at":"2026-11-22T12:00:00Z","problem":"the state cannot be read","streams":[]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rec := get(t, newHandler(t, steady(c.now)), http.MethodGet, "/readyz")
			var got, want any
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); rec.Code != c.status || diff != "" {
				t.Errorf("status %d, want %d (-want +got):\n%s", rec.Code, c.status, diff)
			}
		})
	}
}

// The process lives, whatever it may know: a restart would mend no peer.
func TestLivenessAsksNobody(t *testing.T) {
	t.Parallel()
	h := newHandler(t, func(context.Context) health.Snapshot {
		t.Error("the state was asked")
		return health.Snapshot{}
	})
	if rec := get(t, h, http.MethodGet, "/healthz"); rec.Code != 200 || rec.Body.String() != "{\"alive\":true}\n" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestOnlyReading(t *testing.T) {
	t.Parallel()
	h := newHandler(t, steady(health.Snapshot{}))
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"} {
			if rec := get(t, h, method, path); rec.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, rec.Code)
			}
		}
		if rec := get(t, h, http.MethodHead, path); rec.Code != 200 {
			t.Errorf("HEAD %s: %d", path, rec.Code)
		}
	}
	for _, path := range []string{"/", "/debug/pprof/", "/healthz/", "/metrics/x"} {
		if rec := get(t, h, http.MethodGet, path); rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}

// Who gives up before the state has answered spoils the answer for nobody else.
func TestAnImpatientClientSpoilsNothing(t *testing.T) {
	t.Parallel()
	gone, leave := context.WithCancel(t.Context())
	h := newHandler(t, func(ctx context.Context) health.Snapshot {
		leave()
		if ctx.Err() != nil {
			return health.Snapshot{Problem: "the state cannot be read"}
		}
		return health.Snapshot{}
	})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(gone, http.MethodGet, "/readyz", nil))
	if rec := get(t, h, http.MethodGet, "/readyz"); rec.Code != http.StatusOK {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// However many ask, the state is asked by one at a time, and not again within a moment.
func TestManyWhoAskAreOneQuestion(t *testing.T) {
	t.Parallel()
	var asked, together, most atomic.Int64
	now := noon
	var mu sync.Mutex
	h, err := health.New(health.Config{
		Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
		Source: func(context.Context) health.Snapshot {
			asked.Add(1)
			most.Store(max(most.Load(), together.Add(1)))
			defer together.Add(-1)
			return full
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { get(t, h, http.MethodGet, "/readyz"); get(t, h, http.MethodGet, "/metrics") })
	}
	wg.Wait()
	if asked.Load() != 1 || most.Load() != 1 {
		t.Errorf("asked %d times, %d at once", asked.Load(), most.Load())
	}
	mu.Lock()
	now = now.Add(2 * time.Second)
	mu.Unlock()
	get(t, h, http.MethodGet, "/readyz")
	if asked.Load() != 2 {
		t.Errorf("asked %d times after a moment", asked.Load())
	}
}

// A state that does not answer makes a red answer, not a hanging one.
func TestAStateThatHangs(t *testing.T) {
	t.Parallel()
	h, err := health.New(health.Config{Limit: 20 * time.Millisecond, Source: func(ctx context.Context) health.Snapshot {
		<-ctx.Done()
		return health.Snapshot{Problem: "no answer"}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if rec := get(t, h, http.MethodGet, "/readyz"); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", rec.Code)
	}
}

// Over a real connection: no banner names the program or its version, and whoever
// sends no headers is hung up on.
func TestServer(t *testing.T) {
	t.Parallel()
	server := newHandler(t, steady(full)).Server()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	response, err := http.Get("http://" + listener.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || len(body) == 0 {
		t.Fatal(err)
	}
	var names []string
	for name := range response.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"Cache-Control", "Content-Length", "Content-Type", "Date", "X-Content-Type-Options"}; !slices.Equal(names, want) {
		t.Errorf("headers %v, want %v", names, want)
	}
	if server.ReadHeaderTimeout <= 0 || server.ReadTimeout <= 0 || server.WriteTimeout <= 0 || server.IdleTimeout <= 0 || server.MaxHeaderBytes <= 0 {
		t.Errorf("a limit is missing: %+v", server)
	}
}

func TestAHandlerNeedsASource(t *testing.T) {
	t.Parallel()
	if _, err := health.New(health.Config{}); err == nil {
		t.Error("a handler of nothing")
	}
}
