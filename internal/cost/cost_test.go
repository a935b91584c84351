//go:build unix

package cost

import (
	"errors"
	"testing"
	"time"
)

// burn uses at least so much CPU time.
func burn(d time.Duration) {
	for begin := CPU(); CPU()-begin < d; {
	}
}

func TestRatio(t *testing.T) {
	ours := func() (int, error) { burn(4 * time.Millisecond); return 100, nil }
	plain := func() (int, error) {
		time.Sleep(50 * time.Millisecond) // costs nothing
		burn(4 * time.Millisecond)
		return 10, nil
	}
	ratio, a, b, err := Ratio(5, ours, plain)
	if err != nil || ratio < 5 || ratio > 20 {
		t.Errorf("%s and %s: ratio %.1f, %v; want about 10", a, b, ratio, err)
	}
	broken := errors.New("broken")
	if _, _, _, err := Ratio(1, ours, func() (int, error) { return 1, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, _, _, err := Ratio(1, ours, func() (int, error) { return 0, nil }); err == nil {
		t.Error("no work was measured")
	}
}
