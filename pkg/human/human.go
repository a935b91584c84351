// Package human writes numbers, durations and text from elsewhere so that people
// can read them.
package human

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Duration writes a duration to a tenth of its unit: 850 µs, 12.4 ms,
// 3.0 s, 2m5s.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(-d)
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// Printable replaces what could act on a terminal: anyone may send spans.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
