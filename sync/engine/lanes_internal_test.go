package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPromise13_ALaneKeepsItsOrder(t *testing.T) {
	t.Parallel()
	l := newLanes(8)
	var mu sync.Mutex
	got := map[string][]int{}
	for i := range 100 {
		for k := range 7 {
			key := fmt.Sprint(k)
			l.submit(key, func() {
				mu.Lock()
				defer mu.Unlock()
				got[key] = append(got[key], i)
			})
		}
	}
	l.wait()
	for key, list := range got {
		for i, n := range list {
			if i != n {
				t.Fatalf("lane %s ran %d as number %d", key, n, i)
			}
		}
		if len(list) != 100 {
			t.Errorf("lane %s ran %d of 100", key, len(list))
		}
	}
	if len(l.queues) != 0 {
		t.Errorf("%d lanes are left behind", len(l.queues))
	}
}

func TestLanesRunBesideEachOtherUpToTheirWidth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const width = 5
		l := newLanes(width)
		var now, most atomic.Int64
		began := time.Now()
		for k := range 20 {
			l.submit(fmt.Sprint(k), func() {
				n := now.Add(1)
				for {
					m := most.Load()
					if n <= m || most.CompareAndSwap(m, n) {
						break
					}
				}
				time.Sleep(time.Second)
				now.Add(-1)
			})
		}
		l.wait()
		if most.Load() != width {
			t.Errorf("%d ran at once, not %d", most.Load(), width)
		}
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("20 works of a second took %s", took)
		}
	})
}
