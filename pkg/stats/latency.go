package stats

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts durations in buckets of a logarithmic scale: each power of
// two nanoseconds is cut in 16, so a quantile is at most 6.25 % too high, in
// 8 KB from a nanosecond to centuries.
type histogram struct {
	counts   [64 * 16]int
	total    int
	negative int // counted as zero
	max      time.Duration
}

func (h *histogram) add(d time.Duration) {
	if d < 0 {
		h.negative++
		d = 0
	}
	h.counts[bucket(d)]++
	h.total++
	h.max = max(h.max, d)
}

// bucket: durations below 16 ns have a bucket each, then 16 per power of two.
func bucket(d time.Duration) int {
	if d < 16 {
		return int(d)
	}
	power := bits.Len64(uint64(d)) - 5
	return power*16 + int(d>>power)
}

// limit is the first duration above the bucket.
func limit(bucket int) time.Duration {
	if bucket < 16 {
		return time.Duration(bucket + 1)
	}
	power := bucket/16 - 1
	return time.Duration(bucket%16+17) << power
}

// quantile is the duration that a share q of all durations does not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int(math.Ceil(q * float64(h.total)))
	for i, sum := 0, 0; i < len(h.counts); i++ {
		if sum += h.counts[i]; sum >= rank && sum > 0 {
			return min(limit(i)-1, h.max)
		}
	}
	return h.max
}
