//go:build !race

package sigmago_test

import (
	"testing"

	"soclab/internal/cost"
)

// The README says 200 times.
func TestCheaperThanSigmaGo(t *testing.T) {
	ours, theirs := engines(t)
	many := func() (n int, err error) { // as much work as theirs
		for range 50 {
			ours()
			n += 2000
		}
		return n, nil
	}
	ratio, a, b, err := cost.Ratio(5, many, theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s an event, sigma-go %s: %.0f times", a, b, ratio)
	if ratio < 50 {
		t.Errorf("%s of CPU an event, sigma-go %s: only %.0f times, want 50 at least", a, b, ratio)
	}
}
