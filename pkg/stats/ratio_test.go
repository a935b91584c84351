//go:build unix && !race

package stats

import (
	"testing"

	"soclab/internal/cost"
)

// The README says 40 times.
func TestCheaperThanGota(t *testing.T) {
	ratio, ours, gota, err := cost.Ratio(5, reading(t, writeDay(t, 100_000)), readingByGota(writeDay(t, 10_000)))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s a row, gota %s: %.0f times", ours, gota, ratio)
	if ratio < 10 {
		t.Errorf("%s of CPU a row, gota %s: only %.1f times, want 10 at least", ours, gota, ratio)
	}
}
