package human_test

import (
	"math"
	"testing"
	"time"

	"soclab/pkg/human"
)

func TestText(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{human.Count(0), "0"},
		{human.Count(999), "999"},
		{human.Count(1000), "1,000"},
		{human.Count(int64(1234567)), "1,234,567"},
		{human.Count(-999), "-999"},
		{human.Count(-1000), "-1,000"},

		{human.Counted(0, "event"), "0 events"},
		{human.Counted(1, "event"), "1 event"},
		{human.Counted(1200, "event"), "1,200 events"},

		{human.Duration(0), "0 s"},
		{human.Duration(17), "17 ns"},
		{human.Duration(17 * time.Microsecond), "17 µs"},
		{human.Duration(17_049), "17 µs"},
		{human.Duration(17_050), "17.1 µs"},
		{human.Duration(168 * time.Millisecond), "168 ms"},
		{human.Duration(999_499 * time.Microsecond), "999 ms"},
		{human.Duration(999_500 * time.Microsecond), "1 s"},
		{human.Duration(1234 * time.Millisecond), "1.23 s"},
		{human.Duration(59_949 * time.Millisecond), "59.9 s"},
		{human.Duration(59_950 * time.Millisecond), "1m"},
		{human.Duration(200 * time.Second), "3m20s"},
		{human.Duration(130 * time.Second), "2m10s"},
		{human.Duration(time.Hour - time.Millisecond), "1h"},
		{human.Duration(2 * time.Hour), "2h"},
		{human.Duration(26*time.Hour + 5*time.Minute), "26h5m"},
		{human.Duration(10*time.Hour + 10*time.Minute), "10h10m"},
		{human.Duration(-1500 * time.Microsecond), "-1.5 ms"},
		{human.Duration(math.MaxInt64), "2562047h47m"},
		{human.Duration(math.MinInt64), "-2562047h47m"},

		{human.Printable("Überprüfung 检 👍"), "Überprüfung 检 👍"},
		{human.Printable(""), ""},
		{human.Printable("\x1b[31mred"), `"\x1b[31mred"`},
		{human.Printable("two\nlines"), `"two\nlines"`},
		{human.Printable("\xff\x00"), `"\xff\x00"`},
		{human.Printable("\u202edetrevni"), `"\u202edetrevni"`},
	} {
		if test.got != test.want {
			t.Errorf("%s, want %s", test.got, test.want)
		}
	}
}
