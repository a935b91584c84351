// Package human writes numbers, durations and text from elsewhere so that people
// can read them.
package human

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Count writes a number with commas between thousands: 12,345.
func Count[N ~int | ~int64](n N) string {
	digits := fmt.Sprint(n)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// Counted writes a number and its noun: 1 event, 1,200 events.
func Counted[N ~int | ~int64](n N, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return Count(n) + " " + noun
}

// Duration writes a duration in three digits at most, and from a minute on as
// people say it: 850 µs, 12.4 ms, 3 s, 2m5s, 26h5m.
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-max(d, -math.MaxInt64))
	}
	precision := time.Minute
	switch {
	case d < time.Minute:
		for precision = 1; d >= 1000*precision; {
			precision *= 10
		}
	case d < time.Hour:
		precision = time.Second
	}
	d = d.Round(precision)
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"s", time.Second}, {"ms", time.Millisecond}, {"µs", time.Microsecond}, {"ns", 1}} {
		if unit.size <= d && d < time.Minute {
			return strconv.FormatFloat(float64(d)/float64(unit.size), 'f', -1, 64) + " " + unit.name
		}
	}
	if d == 0 {
		return "0 s"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Printable returns text from elsewhere as it is, or quoted where it is no text
// or could act on a terminal.
func Printable(s string) string {
	unprintable := func(r rune) bool { return !strconv.IsPrint(r) }
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
		return strconv.Quote(s)
	}
	return s
}
