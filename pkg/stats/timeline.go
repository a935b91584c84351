package stats

import (
	"maps"
	"slices"
	"time"
)

// Widths of bins, in seconds. Each of those that are kept divides the next, so
// that bins can be joined; shown are those in which people count.
var (
	keptWidths  = []int64{1, 10, minute, 10 * minute, hour, 6 * hour, day, 7 * day, 28 * day, 364 * day}
	shownWidths = []int64{
		1, 2, 5, 10, 15, 20, 30,
		minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 20 * minute, 30 * minute,
		hour, 2 * hour, 3 * hour, 4 * hour, 6 * hour, 12 * hour,
		day, 2 * day, 7 * day, 14 * day, 28 * day, 364 * day, 3640 * day,
	}
)

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour

	// maxBins lets a day be counted by the minute.
	maxBins = 1500
)

// timeline counts events over event time, in bins that become wider as the log
// becomes longer. Only bins that hold events are kept, so that one stray clock
// does not widen them all.
type timeline struct {
	width int // index into keptWidths
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
	seconds, width := when.Unix(), keptWidths[t.width]
	if t.last != nil && t.last.start <= seconds && seconds < t.last.start+width {
		return t.last
	}
	t.last = binAt(t.bins, seconds, width)
	for len(t.bins) > maxBins && t.width < len(keptWidths)-1 {
		t.width++
		t.bins = join(t.bins, keptWidths[t.width])
		t.last = binAt(t.bins, seconds, keptWidths[t.width])
	}
	return t.last
}

// binAt returns the bin of a time, of the given width in seconds.
func binAt(bins map[int64]*bin, seconds, width int64) *bin {
	start := floor(seconds, width)
	return at(bins, start, bin{start: start, tactics: make(map[string]*int)})
}

func join(bins map[int64]*bin, width int64) map[int64]*bin {
	joined := make(map[int64]*bin)
	for _, b := range bins {
		wide := binAt(joined, b.start, width)
		wide.benign += b.benign
		wide.detected += b.detected
		for tactic, n := range b.tactics {
			*at(wide.tactics, tactic, 0) += *n
		}
	}
	return joined
}

func (b *bin) from() time.Time { return time.Unix(b.start, 0).UTC() }

// intervals lists the bins that hold events, in their order, and how many
// seconds they are wide: a minute or more.
func (t *timeline) intervals() ([]Interval, int) {
	width := max(minute, keptWidths[t.width])
	intervals := []Interval{}
	for _, b := range ranked(join(t.bins, width), func(b bin) (int, string) { return -int(b.start), "" }) {
		intervals = append(intervals, Interval{b.from(), b.benign + b.detected, b.benign, b.detected})
	}
	return intervals, int(width)
}

// span returns all bins from first to last, also the empty ones, at the
// smallest width by which there are no more than most.
func (t *timeline) span(most int) (bins []*bin, width time.Duration) {
	if len(t.bins) == 0 {
		return nil, 0
	}
	starts := slices.Sorted(maps.Keys(t.bins))
	first, last := starts[0], starts[len(starts)-1]
	var seconds int64
	for _, seconds = range shownWidths {
		if seconds%keptWidths[t.width] == 0 && (floor(last, seconds)-floor(first, seconds))/seconds < int64(most) {
			break
		}
	}
	joined := join(t.bins, seconds)
	for start := floor(first, seconds); start <= last; start += seconds {
		bins = append(bins, binAt(joined, start, seconds))
	}
	return bins, time.Duration(seconds) * time.Second
}

// floor is the last multiple of width up to seconds, which may be before 1970.
func floor(seconds, width int64) int64 { return seconds - (seconds%width+width)%width }
