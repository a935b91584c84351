package stats

import (
	"maps"
	"slices"
	"time"
)

// widths of the timeline's bins, in seconds. Each divides the next, so that
// bins can be joined.
var widths = []int64{
	1, 5, 10, 30,
	60, 5 * 60, 10 * 60, 30 * 60,
	3600, 3 * 3600, 6 * 3600, 12 * 3600,
	day, 7 * day, 28 * day, 364 * day,
}

const (
	day = 24 * 3600
	// maxBins lets a day be counted by the minute.
	maxBins = 1500
)

// timeline counts events over event time, in bins that become wider as the log
// becomes longer. Only bins that hold events are kept, so that one stray clock
// does not widen them all.
type timeline struct {
	width int // index into widths
	bins  map[int64]*bin
	last  *bin
}

// bin is one interval of time.
type bin struct {
	start            int64 // Unix seconds
	benign, detected int
	tactics          map[string]*int // detections by tactic id
}

func newTimeline() *timeline { return &timeline{bins: make(map[int64]*bin)} }

// at returns the bin of a time.
func (t *timeline) at(when time.Time) *bin {
	seconds := when.Unix()
	if t.last != nil && t.last.start <= seconds && seconds < t.last.start+widths[t.width] {
		return t.last
	}
	t.last = find(t.bins, floor(seconds, widths[t.width]))
	for len(t.bins) > maxBins && t.width < len(widths)-1 {
		t.width++
		t.bins = join(t.bins, widths[t.width])
		t.last = t.bins[floor(seconds, widths[t.width])]
	}
	return t.last
}

func find(bins map[int64]*bin, start int64) *bin {
	b := bins[start]
	if b == nil {
		b = &bin{start: start, tactics: make(map[string]*int)}
		bins[start] = b
	}
	return b
}

func join(bins map[int64]*bin, width int64) map[int64]*bin {
	joined := make(map[int64]*bin)
	for _, b := range bins {
		wide := find(joined, floor(b.start, width))
		wide.benign += b.benign
		wide.detected += b.detected
		for tactic, n := range b.tactics {
			*at(wide.tactics, tactic, 0) += *n
		}
	}
	return joined
}

// span returns all bins from first to last, also the empty ones, at the
// smallest width by which there are no more than most.
func (t *timeline) span(most int) (bins []*bin, width time.Duration) {
	if len(t.bins) == 0 {
		return nil, 0
	}
	starts := slices.Sorted(maps.Keys(t.bins))
	first, last := starts[0], starts[len(starts)-1]
	i := t.width
	for i < len(widths)-1 && floor(last, widths[i])-floor(first, widths[i]) >= int64(most)*widths[i] {
		i++
	}
	joined := join(t.bins, widths[i])
	for start := floor(first, widths[i]); start <= last; start += widths[i] {
		bins = append(bins, find(joined, start))
	}
	return bins, time.Duration(widths[i]) * time.Second
}

func floor(seconds, width int64) int64 {
	rest := seconds % width
	if rest < 0 {
		rest += width
	}
	return seconds - rest
}
