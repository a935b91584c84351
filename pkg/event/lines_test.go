package event_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"soclab/pkg/event"
)

// readLines returns copies of all lines, and the error that ended them.
func readLines(r io.Reader) (all []string, torn bool, err error) {
	lines := event.NewLines(r)
	for {
		line, err := lines.Next()
		if err == io.EOF {
			return all, torn, nil
		}
		if err != nil {
			return all, torn, err
		}
		all, torn = append(all, strings.Clone(line)), lines.Torn()
		if lines.Number() != len(all) {
			return all, torn, errors.New("a line without its number")
		}
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", event.MaxLine-1)
	for _, c := range []struct {
		name, content string
		want          []string
		torn          bool
	}{
		{"nothing", "", nil, false},
		{"LF", "a\n\nb\n", []string{"a", "", "b"}, false},
		{"CRLF", "a\r\n\r\nb\r\n", []string{"a", "", "b"}, false},
		{"CRLF that was made CRLF again", "a\r\r\nb\r\r\n", []string{"a", "b"}, false},
		{"CR", "a\r\rb\r", []string{"a", "", "b"}, false},
		{"a CR within a line", "a\nb\rc\n", []string{"a", "b\rc"}, false},
		{"torn", "a\nb", []string{"a", "b"}, true},
		{"torn in CRLF", "a\r\nb\r", []string{"a", "b"}, true},
		{"one torn line", "a", []string{"a"}, true},
		{"torn after CR", "a\rb", []string{"a", "b"}, true},
		{"byte order mark", "\ufeffa\n\ufeffb\n", []string{"a", "\ufeffb"}, false},
		{"only a byte order mark", "\ufeff", []string{""}, true},
		{"the longest lines", long + "\n" + long + "\na\n", []string{long, long, "a"}, false},
		{"a long line after CR", "a\r" + long + "\r", []string{"a", long}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.content), iotest.DataErrReader(iotest.HalfReader(strings.NewReader(c.content)))} {
				got, torn, err := readLines(r)
				if err != nil || torn != c.torn || !slices.Equal(got, c.want) {
					t.Errorf("%.100q, torn %v, %v; want %.100q, torn %v", got, torn, err, c.want, c.torn)
				}
			}
		})
	}
}

// A line that is too long is told, and what follows it is read.
func TestLinesTooLong(t *testing.T) {
	for _, length := range []int{event.MaxLine, event.MaxLine + 1, 3 * event.MaxLine} {
		lines := event.NewLines(strings.NewReader("a\n" + strings.Repeat("x", length) + "\nb\n"))
		lines.Next()
		if _, err := lines.Next(); err == nil || !strings.Contains(err.Error(), "want a line of at most 524288 bytes") || lines.Number() != 2 {
			t.Errorf("%d bytes: line %d: %v", length, lines.Number(), err)
		}
		if line, err := lines.Next(); line != "b" || err != nil || lines.Number() != 3 {
			t.Errorf("%d bytes: then line %d, %.20q, %v", length, lines.Number(), line, err)
		}
		if _, err := lines.Next(); err != io.EOF {
			t.Errorf("%d bytes: at the end %v", length, err)
		}
	}
}

// What was read before an error is kept, and half a line is not taken for one.
func TestLinesKeepWhatCame(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, "a\nb\nc\n")
	w.Flush()
	io.WriteString(w, "d\n")
	w.Close()
	r, err := gzip.NewReader(bytes.NewReader(b.Bytes()[:b.Len()-10]))
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := readLines(r); len(got) < 3 || got[2] != "c" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", got, err)
	}
	broken := errors.New("broken")
	got, _, err := readLines(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)))
	if len(got) != 1 || err != broken {
		t.Errorf("%q, %v", got, err)
	}
}

func TestLinesDoNotAllocate(t *testing.T) {
	line := strings.Repeat("x", 200) + "\r\n"
	lines := event.NewLines(strings.NewReader(strings.Repeat(line, 2000)))
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := lines.Next(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

// FuzzLines compares with a split of the whole text, however it arrives.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "a\nb", "a\r\nb\r\n", "a\rb\r", "\ufeff\n\r", "\r\r\r"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		end := "\n"
		if !strings.Contains(text, "\n") && strings.Contains(text, "\r") {
			end = "\r"
		}
		want := strings.Split(text, end)
		torn := want[len(want)-1] != ""
		if !torn {
			want = want[:len(want)-1]
		}
		for i := range want {
			want[i] = strings.TrimRight(want[i], "\r")
		}
		if len(want) > 0 {
			want[0] = strings.TrimPrefix(want[0], "\ufeff")
		}
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			got, gotTorn, err := readLines(r)
			if err != nil || gotTorn != torn || !slices.Equal(got, want) {
				t.Fatalf("%q: %q, torn %v, %v; want %q, torn %v", text, got, gotTorn, err, want, torn)
			}
		}
	})
}

func BenchmarkLines(b *testing.B) {
	text := strings.Repeat(strings.Repeat("x", 200)+"\n", 1000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		lines := event.NewLines(strings.NewReader(text))
		for {
			if _, err := lines.Next(); err != nil {
				break
			}
		}
	}
}
