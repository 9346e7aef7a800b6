//go:build bench

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/demo"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
)

// The numbers that `make bench` prints are promised by the issue that built this:
// they are compared here, and printed either way.

// TestBenchMemory measures the peak memory of a `syncd run` process of its own, with
// the emulators in this one.
func TestBenchMemory(t *testing.T) {
	const most = 64 << 10 // KiB
	sizes := []int{10_000, 100_000}
	if os.Getenv("FULL") != "" {
		sizes = append(sizes, 500_000)
	}
	var first int
	for _, n := range sizes {
		peak := peakOf(t, n)
		if first == 0 {
			first = peak
		}
		growth := float64(peak)/float64(first) - 1
		fmt.Printf("memory: %7d customers: VmHWM %.1f MiB, %+.1f %% of the first\n", n, float64(peak)/1024, 100*growth)
		if peak > most || growth > 0.10 {
			t.Errorf("%d customers: VmHWM %d KiB, at most %d and 10 %% growth are promised", n, peak, most)
		}
	}
}

// peakOf returns the peak resident memory in KiB of a first run over n customers.
func peakOf(t *testing.T, n int) int {
	t.Helper()
	world, err := demo.Start(t.Context(), demo.Config{Customers: n, Seed: 5, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := world.Close(); err != nil {
			t.Error(err)
		}
	}()
	p := &place{world: world, environ: append(world.Environ(),
		"PATH="+os.Getenv("PATH"), "SYNCD_SETTLE=0s", "SYNCD_COPERNICA_CONCURRENCY=20", peakMemory+"=1",
		"SYNCD_DATABASE_URL=sqlite://"+filepath.Join(t.TempDir(), "state", "syncd.db"),
	)}
	if out, err := p.command(t, "", "provision").CombinedOutput(); err != nil {
		t.Fatalf("provision: %v\n%s", err, out)
	}
	out, err := p.command(t, "", "run").CombinedOutput()
	if err != nil {
		t.Fatalf("run: %v\n%s", err, out)
	}
	if diff := world.Compare("shop", amsterdam(t)); !diff.None() {
		t.Errorf("%s", diff)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("the child did not print its peak:\n%s", out)
	}
	peak, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "customers: ") {
			fmt.Print("memory: ", line)
		}
	}
	return peak
}

// TestBenchCallRate compares a run in which everything changed with a bare net/http
// loop that makes the same calls, in turns, at an account that takes 20 ms to answer.
func TestBenchCallRate(t *testing.T) {
	const latency, pairs, least = 20 * time.Millisecond, 3, 0.95
	// The account is served by this process. With more threads than processors the
	// kernel divides the time between the two, as it would between two processes.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2 * runtime.NumCPU()))
	for _, inFlight := range []int{10, 20, 50} {
		customers := 400 * inFlight // eight seconds of calls
		b := newRateBench(t, customers, inFlight, latency)
		var ratios, rates []float64
		for range pairs {
			ours := b.engine(t)
			bare := b.bare(t)
			ratios, rates = append(ratios, ours/bare), append(rates, ours)
		}
		slices.Sort(ratios)
		slices.Sort(rates)
		fmt.Printf("calls: %2d in flight at %s: %.0f calls a second, %.3f of a bare loop (median of %d pairs, %.3f to %.3f)\n",
			inFlight, latency, rates[pairs/2], ratios[pairs/2], pairs, ratios[0], ratios[pairs-1])
		if ratios[pairs/2] < least {
			t.Errorf("%d in flight: %.3f of a bare loop, %.2f is promised", inFlight, ratios[pairs/2], least)
		}
		b.close()
	}
}

type rateBench struct {
	world     *demo.World
	pipeline  *pipeline
	token     string
	api       string
	customers int
	inFlight  int
	close     func()
}

func newRateBench(t *testing.T, customers, inFlight int, latency time.Duration) *rateBench {
	t.Helper()
	ctx := t.Context()
	world, err := demo.Start(ctx, demo.Config{Customers: customers, Seed: 9, Now: time.Now, Latency: latency})
	if err != nil {
		t.Fatal(err)
	}
	a := &app{stdout: io.Discard, stderr: os.Stderr, now: time.Now, environ: append(world.Environ(),
		"SYNCD_SETTLE=0s", "SYNCD_LOG_LEVEL=error", "SYNCD_COPERNICA_CONCURRENCY="+strconv.Itoa(inFlight),
		"SYNCD_DATABASE_URL=sqlite://"+filepath.Join(t.TempDir(), "state", "syncd.db"))}
	cfg, log, err := a.configure(ctx, config.NeedMagento|config.NeedCopernica|config.NeedState)
	if err == nil {
		err = (&provisionCommand{}).Run(ctx, a)
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.openPipeline(ctx, cfg, log, nil, func(engine.Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.engine.Run(ctx, engine.Customers); err != nil {
		t.Fatal(err)
	}
	b := &rateBench{world: world, pipeline: p, customers: customers, inFlight: inFlight, api: cfg.Copernica.APIURL}
	b.close = func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
		if err := world.Close(); err != nil {
			t.Error(err)
		}
	}
	resp, err := http.PostForm(cfg.Copernica.AuthURL, map[string][]string{"access_token": {copernicatest.AccessToken}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	b.token = string(bytes.TrimSpace(token))
	return b
}

// engine changes every customer and returns the calls a second of the run that
// brings them over.
func (b *rateBench) engine(t *testing.T) float64 {
	t.Helper()
	for _, c := range b.world.Shop.Data().Customers {
		b.world.Shop.Edit(c.ID, func(c *magentotest.Customer) { c.MiddleName = time.Now().String() })
	}
	time.Sleep(1100 * time.Millisecond) // a horizon ends at the whole second before
	report, err := b.pipeline.engine.Run(t.Context(), engine.Customers)
	if err != nil || int(report.Counters.Updated) != b.customers {
		t.Fatalf("%+v, %v", report.Counters, err)
	}
	return float64(report.Counters.TargetCalls) / report.Elapsed.Seconds()
}

// bare makes the same updates in a plain loop and returns its calls a second.
func (b *rateBench) bare(t *testing.T) float64 {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: b.inFlight}}
	defer client.CloseIdleConnections()
	profiles := b.world.Account.Profiles(copernicatest.DatabaseName)
	began := time.Now()
	next := make(chan copernicatest.Profile)
	var workers sync.WaitGroup
	for range b.inFlight {
		workers.Go(func() {
			for p := range next {
				if err := b.put(t.Context(), client, p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, p := range profiles {
		p.Fields["middlename"] = "bare"
		next <- p
	}
	close(next)
	workers.Wait()
	return float64(len(profiles)) / time.Since(began).Seconds()
}

func (b *rateBench) put(ctx context.Context, client *http.Client, p copernicatest.Profile) error {
	var body bytes.Buffer
	body.WriteString(`{"fields":{`)
	first := true
	for name, value := range p.Fields {
		if !first {
			body.WriteByte(',')
		}
		first = false
		fmt.Fprintf(&body, "%q:%q", name, value)
	}
	body.WriteString("}}")
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, b.api+"/profile/"+strconv.FormatInt(p.ID, 10), &body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
