//go:build unix

// Package cost measures work in CPU time, which on a busy machine stays what it
// is where the time on the clock does not.
package cost

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// CPU is the time that this process has used so far, of all its threads, in
// user and kernel mode.
func CPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // only for another first argument (getrusage(2))
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Work is one way of doing something. It returns how many units it has done,
// such as events.
type Work func() (units int, err error)

// Ratio tells how many times as much CPU time a unit of plain takes as one of
// ours, with both figures. The two take turns, rounds times, so that what else
// the machine does falls on both; the medians count.
func Ratio(rounds int, ours, plain Work) (ratio float64, a, b time.Duration, err error) {
	var spent [2][]time.Duration
	for range rounds {
		for i, work := range []Work{ours, plain} {
			runtime.GC() // what the one before left
			begin := CPU()
			units, err := work()
			if err != nil {
				return 0, 0, 0, err
			}
			if units == 0 {
				return 0, 0, 0, fmt.Errorf("no work was done")
			}
			spent[i] = append(spent[i], (CPU()-begin)/time.Duration(units))
		}
	}
	for _, s := range spent {
		slices.Sort(s)
	}
	a, b = spent[0][rounds/2], spent[1][rounds/2]
	return float64(b) / float64(cmp.Or(a, 1)), a, b, nil
}
