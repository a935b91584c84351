package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestOffsets(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var set offsets
		known := make(map[int64]bool)
		for range 300 {
			offset := random.Int64N(200)
			if set.add(offset) == known[offset] {
				t.Fatalf("add(%d) to %v says that it was held: %v", offset, set.runs, !known[offset])
			}
			known[offset] = true
		}
		for i, r := range set.runs {
			if r.first >= r.end || i > 0 && set.runs[i-1].end >= r.first {
				t.Fatalf("runs %v: want them ascending and apart", set.runs)
			}
		}
	}
}

func TestOffsetsOfALongLogAreOneRun(t *testing.T) {
	var set offsets
	for i := range int64(1000) {
		set.add(2 * i)
		set.add(2*i + 1)
	}
	if len(set.runs) != 1 {
		t.Errorf("%d runs: want 1", len(set.runs))
	}
}

func TestIDsBeyondTheTableAreSampled(t *testing.T) {
	const ids = 50_000
	s := newIDSet(1<<10, 800)
	for range 2 { // published twice
		for i := range ids {
			s.add(fmt.Sprint("event ", i))
		}
	}
	if got := s.repeated(); !got.Sampled || math.Abs(float64(got.Rows)-ids) > 0.3*ids {
		t.Errorf("%d repeated, sampled %v: want about %d", got.Rows, got.Sampled, ids)
	}
	if len(s.slots) != 1<<10 || s.held >= s.most || len(s.examples) != maxExamples {
		t.Errorf("%d slots, %d held, %d examples", len(s.slots), s.held, len(s.examples))
	}
}

func TestIDsWithinTheTableAreExact(t *testing.T) {
	s := newIDSet(1<<10, 800)
	for range 3 {
		for i := range 700 {
			s.add(fmt.Sprint("event ", i))
		}
	}
	if got := s.repeated(); got.Rows != 1400 || got.Sampled {
		t.Errorf("%d repeated, sampled %v: want exactly 1400", got.Rows, got.Sampled)
	}
}

func TestTallyForgetsTheRare(t *testing.T) {
	count := newTally[int](100)
	add := func(key int) {
		count.add(key, func() int { return key })
	}
	for i := range 10_000 { // two busy keys in a flood of others
		add(-1)
		if i%4 == 0 {
			add(-2)
		}
		add(i)
	}
	if n := *count.counts[-1]; n != 10_000 {
		t.Errorf("the busiest: %d, want 10000", n)
	}
	if n := *count.counts[-2]; n > 2500 || n < 2500-count.forgotten {
		t.Errorf("the second: %d, want 2500 or at most %d less", n, count.forgotten)
	}
	if len(count.counts) > 100 {
		t.Errorf("%d keys held: want at most 100", len(count.counts))
	}
}

func TestTimelineWidensAndKeepsItsCounts(t *testing.T) {
	for _, test := range []struct {
		span  time.Duration
		shown time.Duration // with at most 60 bins
	}{
		{30 * time.Second, time.Second},
		{59 * time.Minute, time.Minute},
		{24 * time.Hour, 30 * time.Minute},
		{365 * 24 * time.Hour, 7 * 24 * time.Hour},
	} {
		t.Run(test.span.String(), func(t *testing.T) {
			const events = 20_000
			line := newTimeline()
			for i := range events {
				line.at(start.Add(test.span/events*time.Duration(i))).benign++
			}
			if len(line.bins) > maxBins {
				t.Errorf("%d bins: want at most %d", len(line.bins), maxBins)
			}
			bins, width := line.span(60)
			sum := 0
			for i, b := range bins {
				sum += b.benign
				if i > 0 && b.from().Sub(bins[i-1].from()) != width {
					t.Errorf("bin at %v follows %v: want %v between", b.from(), bins[i-1].from(), width)
				}
			}
			if sum != events || width != test.shown || len(bins) > 60 {
				t.Errorf("%d events in %d bins of %v: want %d in bins of %v", sum, len(bins), width, events, test.shown)
			}
		})
	}
}

// One stray clock must not make the bins of the others wider.
func TestTimelineWithAStrayClock(t *testing.T) {
	line := newTimeline()
	line.at(time.Unix(0, 0)).benign++
	for i := range 600 {
		line.at(start.Add(time.Duration(i)*time.Second)).benign++
	}
	if keptWidths[line.width] != 1 {
		t.Errorf("bins of %d s: want 1 s", keptWidths[line.width])
	}
}

func TestHistogramQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	h := new(histogram)
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(math.Pow(10, 12*random.Float64()))
		all = append(all, d)
		h.add(d)
	}
	h.add(-time.Second)
	for _, q := range []float64{0.001, 0.5, 0.9, 0.999, 1} {
		got := h.quantile(q)
		below := 0
		for _, d := range all {
			if d <= got {
				below++
			}
		}
		wider := 0
		for _, d := range all {
			if float64(d) <= float64(got)/1.06 {
				wider++
			}
		}
		if float64(below+1) < q*10_001 || float64(wider) > q*10_001 {
			t.Errorf("quantile %g = %v: %d of 10000 are not above, %d by more than 6 %%", q, got, below, wider)
		}
	}
	if h.negative != 1 {
		t.Errorf("%d negative: want 1", h.negative)
	}
	longest := new(histogram)
	longest.add(math.MaxInt64)
	if got := longest.quantile(0.5); got != math.MaxInt64 {
		t.Errorf("the median of the longest duration is %v", got)
	}
	if new(histogram).quantile(0.5) != 0 {
		t.Error("quantile of nothing: want 0")
	}
}

func TestCompact(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{compact(9999), "9,999"},
		{compact(10_499), "10k"},
		{compact(999_700), "1.0M"},
		{compact(12_400_000), "12M"},
	} {
		if test.got != test.want {
			t.Errorf("%q: want %q", test.got, test.want)
		}
	}
}
