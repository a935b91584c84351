package traffic

import (
	"math/bits"
	"math/rand/v2"
	"time"
)

// dice draws numbers. It uses whole numbers only, and of math/rand/v2 only
// PCG's stream, which is fixed: the same draws on every platform and with every
// version of Go.
type dice struct{ rand.PCG }

// below draws from 0 to n-1.
func (d *dice) below(n int) int {
	high, _ := bits.Mul64(d.Uint64(), uint64(n))
	return int(high)
}

// between draws from low to high, both included.
func (d *dice) between(low, high int) int { return low + d.below(high-low+1) }

// chance is true in percent of 100 draws.
func (d *dice) chance(percent int) bool { return d.below(100) < percent }

// spread draws from low to high so that every order of magnitude is equally
// likely: as sizes and delays of real traffic are.
func (d *dice) spread(low, high int) int {
	n := bits.Len(uint(low))
	n += d.below(bits.Len(uint(high)) - n + 1)
	from, to := 1<<n>>1, 1<<n-1
	return d.between(max(low, from), min(high, to))
}

// delay draws a spread duration in whole microseconds.
func (d *dice) delay(low, high time.Duration) time.Duration {
	return time.Duration(d.spread(int(low/time.Microsecond), int(high/time.Microsecond))) * time.Microsecond
}

// jitter draws around mean, up to percent of it above or below.
func (d *dice) jitter(mean time.Duration, percent int) time.Duration {
	part := int(mean/time.Microsecond) * percent / 100
	return mean + time.Duration(d.between(-part, part))*time.Microsecond
}

func (d *dice) text(n int, alphabet string) string {
	var array [256]byte
	buffer := array[:0]
	for range n {
		buffer = append(buffer, alphabet[d.below(len(alphabet))])
	}
	return string(buffer)
}

const (
	letters   = "abcdefghijklmnopqrstuvwxyz"
	digits    = "0123456789"
	lowerHex  = "0123456789abcdef"
	base32    = "abcdefghijklmnopqrstuvwxyz234567"
	alphanums = letters + digits
)

func pick[T any](d *dice, choices []T) T { return choices[d.below(len(choices))] }

func shuffle[T any](d *dice, items []T) {
	for i := len(items) - 1; i > 0; i-- {
		j := d.below(i + 1)
		items[i], items[j] = items[j], items[i]
	}
}
