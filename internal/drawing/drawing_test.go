package drawing_test

import (
	"testing"

	"soclab/internal/drawing"
)

func TestRoundStep(t *testing.T) {
	for x, want := range map[float64]float64{
		1: 1, 1.01: 2, 2: 2, 2.1: 5, 5: 5, 5.1: 10, 10: 10, 1000: 1000, 1e6: 1e6, 0.003: 0.005, 0.1: 0.1, 0.3: 0.5, 1 + 1e-12: 1,
	} {
		if got := drawing.RoundStep(x); got < want*(1-1e-12) || got > want*(1+1e-12) {
			t.Errorf("RoundStep(%g) is %g, want %g", x, got, want)
		}
	}
}
