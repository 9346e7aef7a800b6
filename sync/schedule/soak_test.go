//go:build soak

package schedule_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
)

// TestSoakService is a day of service on the bubble's clock: a shop that lives, 1 % of
// all calls to both peers going wrong in every way, then an hour of peace.
func TestSoakService(t *testing.T) {
	seed := randomSeed(t)
	inHouse(t, seed, 300, 300, func(t *testing.T, h *house) {
		time.Sleep(20 * time.Minute)
		goroutines, memory := footprint()
		for _, faults := range []*emulator.Faults{h.shop.Faults(), h.account.Faults()} {
			for i, f := range []emulator.Fault{
				{Kind: emulator.Reset},
				{Kind: emulator.Reset, After: true},
				{Status: 500},
				{Status: 500, After: true},
				{Status: 429},
				{Kind: emulator.HTML, Status: 502},
				{Kind: emulator.Truncate},
				{Kind: emulator.Delay, Delay: 20 * time.Second},
				{Kind: emulator.Hang},
				{Kind: emulator.HTML},
			} {
				f.Every, f.Skip = 1000, 97*i // ten of them: 1 %
				faults.Add(f)
			}
		}
		var worst time.Duration
		for range 24 * 60 {
			for range 1 + h.random.IntN(4) {
				h.happen()
			}
			time.Sleep(time.Minute)
			worst = max(worst, h.lag())
		}
		h.shop.Faults().Clear()
		h.account.Faults().Clear()
		stopped := time.Now()
		time.Sleep(10 * time.Minute)
		for range 60 {
			h.happen()
			time.Sleep(time.Minute)
			if lag := h.lag(); lag > 2*5*time.Minute {
				t.Errorf("%s behind, %s after the faults stopped", lag, time.Since(stopped))
			}
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		h.inStep()
		goroutinesNow, memoryNow := footprint()
		if goroutinesNow > goroutines+2 || memoryNow > 2*memory+4<<20 {
			t.Errorf("%d goroutines and a heap of %d bytes, %d and %d at the beginning", goroutinesNow, memoryNow, goroutines, memory)
		}
		t.Logf("worst lag under faults %s; %d log lines in 26 h, %d of them errors; goroutines %d, then %d; heap with both emulators %d MiB, then %d MiB",
			worst, h.lines("msg="), h.lines("level=ERROR"), goroutines, goroutinesNow, memory>>20, memoryNow>>20)
		if n := h.lines("msg="); n > 26*60 {
			t.Errorf("%d lines in 26 hours", n)
		}
	})
}

// footprint is what the process takes while nothing runs.
func footprint() (goroutines int, heap uint64) {
	synctest.Wait()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc
}
