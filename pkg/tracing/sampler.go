package tracing

import (
	"sync"
	"time"
)

const (
	fullRate  = 1_000             // events a second of which every one is traced
	burst     = 10_000            // events that may come at once before that limit counts
	slowEvery = time.Second / 100 // above it: 100 traces a second
)

// sampler decides which events are traced. All events, traced or not, fill a
// bucket that leaks at fullRate: while it holds no more than a burst, every
// event is traced; above that, one each slowEvery. The bucket overflows at two
// bursts, so ten seconds after a flood every event is traced again.
type sampler struct {
	mu    sync.Mutex
	level float64
	last  time.Time // of the last event
	slow  time.Time // of the last event traced above the burst
}

func (s *sampler) sample(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if elapsed := now.Sub(s.last); elapsed > 0 {
		s.level = max(0, s.level-elapsed.Seconds()*fullRate)
		s.last = now
	}
	s.level = min(s.level+1, 2*burst)
	if s.level <= burst {
		return true
	}
	if now.Sub(s.slow) < slowEvery {
		return false
	}
	s.slow = now
	return true
}
