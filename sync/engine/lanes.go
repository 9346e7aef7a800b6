package engine

import "sync"

// lanes run work concurrently, but one after the other for the same key: a
// profile and everything below it share a lane (promise 13).
type lanes struct {
	slots chan struct{} // one for each call that may be in flight

	mu     sync.Mutex
	queues map[string][]func() // owned by the lane's goroutine while the key is present
	all    sync.WaitGroup
}

func newLanes(width int) *lanes {
	return &lanes{slots: make(chan struct{}, width), queues: map[string][]func(){}}
}

// submit queues work behind what the key's lane already has. It does not block.
func (l *lanes) submit(key string, work func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue, running := l.queues[key]
	l.queues[key] = append(queue, work)
	if !running {
		l.all.Go(func() { l.drain(key) })
	}
}

func (l *lanes) drain(key string) {
	for {
		l.mu.Lock()
		queue := l.queues[key]
		if len(queue) == 0 {
			delete(l.queues, key)
			l.mu.Unlock()
			return
		}
		work := queue[0]
		l.queues[key] = queue[1:]
		l.mu.Unlock()

		l.slots <- struct{}{}
		work()
		<-l.slots
	}
}

// wait returns when every lane is empty.
func (l *lanes) wait() { l.all.Wait() }
