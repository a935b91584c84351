package stats

import (
	"math"
	"time"
)

// perDecade is how many buckets of a histogram lie between a duration and ten
// times as much: each is 5.9 % wider than the one before.
const perDecade = 40

// histogram counts durations on a logarithmic scale, from a nanosecond to the
// longest that there is.
type histogram struct {
	counts   [19 * perDecade]int
	total    int
	negative int // counted as zero
	max      time.Duration
}

func (h *histogram) add(d time.Duration) {
	if d < 0 {
		h.negative++
		d = 0
	}
	h.counts[int(perDecade*math.Log10(float64(max(d, 1))))]++
	h.total++
	h.max = max(h.max, d)
}

// decades is where a bucket begins: the logarithm to base 10 of nanoseconds.
func decades(bucket int) float64 { return float64(bucket) / perDecade }

// quantile is the duration that a share q of all durations does not exceed, at
// most one bucket too high.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int(math.Ceil(q * float64(h.total)))
	sum := 0
	for i, n := range h.counts {
		if sum += n; n > 0 && sum >= rank {
			if end := math.Pow(10, decades(i+1)); end < float64(h.max) { // no longer than a duration can be
				return time.Duration(end)
			}
			return h.max
		}
	}
	return 0
}
