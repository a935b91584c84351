package sensor

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"soclab/pkg/event"
)

// write makes a file of the given content and returns its path.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(t testing.TB, content string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// readText returns all events of a log that is called log.
func readText(content string) ([]event.Event, error) {
	r, err := NewReader(strings.NewReader(content), "log")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return drain(r)
}

// drain returns all events, and the error that ended them.
func drain(r *Reader) (all []event.Event, err error) {
	for {
		e, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, *e)
	}
}

func ExampleNewReader() {
	const stream = `{"_path":"conn","ts":1.5,"uid":"C1","id":{"orig_h":"10.0.0.1","resp_h":"10.0.0.2"},"service":["ssl","http"]}`
	r, err := NewReader(strings.NewReader(stream), "standard input")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	e, err := r.Next()
	fmt.Println(r.Format(), e.Source.IP, e.Protocol, err)
	// Output: Zeek conn.log (JSON lines) 10.0.0.1 ssl,http <nil>
}

type refusal struct{ name, content, want string }

// refuse checks that each content is refused with the words wanted.
func refuse(t *testing.T, refusals []refusal) {
	t.Helper()
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			_, err := readText(r.content)
			if err == nil || !strings.HasPrefix(err.Error(), "log:") || !strings.Contains(err.Error(), r.want) {
				t.Errorf("%v\nwant %s", err, r.want)
			}
		})
	}
}

func TestRefusesWhatIsNoLog(t *testing.T) {
	refuse(t, []refusal{
		{"nothing", "", "log: empty: want " + accepted()},
		{"blank lines", "\n \n", "log: empty"},
		{"a pcap file", "\xd4\xc3\xb2\xa1\x02\x00", "log: found a pcap capture: want raw_packets.csv"},
		{"a pcapng file", "\x0a\x0d\x0d\x0a\x1c\x00\x00\x00", "found a pcapng capture"},
		{"a zip archive", "PK\x03\x04", "found a zip archive"},
		{"prose", "Dear all,\n", `log: found "Dear all,\n": want raw_packets.csv`},
		{"an array", "[\n{}\n]", "found a JSON array"},
		{"UTF-16", "\xff\xfe#\x00s\x00", "found UTF-16 text"},
		{"UTF-16 without a mark", "#\x00s\x00", "found UTF-16 text or binary data"},
		{"gzip of nothing", gzipped(t, ""), "log: empty"},
		{"gzip of prose", gzipped(t, "Dear all,\n"), `found "Dear all,\n"`},
		{"a damaged gzip header", "\x1f\x8b\x07 not deflate", "log: the gzip data is damaged here"},
		{"a zstd frame of 256 MiB", "\x28\xb5\x2f\xfd\x00\x90\x29\x00\x00hello", "log: the zstd data is damaged here"},
		{"a damaged zstd frame", "\x28\xb5\x2f\xfd\xff\xff\xff\xff\xff\xff\xff\xff", "log: the zstd data is damaged here"},
		{"a line without end", event.Header() + "\n" + strings.Repeat("x", event.MaxLine+1), "log:2: "},
	})
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "a folder: want") {
		t.Errorf("%v, want a word about a folder", err)
	}
	if _, err := Open("nowhere.csv"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that the file does not exist", err)
	}
}

// A sample is a short log, and what it holds.
type sample struct {
	format string   // as Reader.Format says
	begin  string   // lines before the first event
	lines  []string // of one event each, with what follows it
	events []event.Event
}

func (s sample) text() string { return s.begin + strings.Join(s.lines, "") }

// samples are one log at least of each format.
func samples() []sample {
	flows := []event.Event{flow, flow, flow}
	row := string(event.AppendCSV(nil, &flow)) + "\n"
	return []sample{
		{"raw_packets.csv", event.Header() + "\n", []string{row, row, row}, flows},
		{"Zeek conn.log (TSV)", tsvHeader + tsvFields + tsvTypes, []string{tsvRow, tsvRow, tsvRow + "#close\t2022\n"}, flows},
		{"Zeek conn.log (JSON lines)", "", []string{jsonRow, jsonRow, jsonRow}, flows},
	}
}

// packed is text as each compression packs it.
func packed(t testing.TB, text string) map[string]string {
	return map[string]string{"gzip": gzipped(t, text), "zstd": zstandard(t, text)}
}

func zstandard(t testing.TB, content string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(content), nil))
}

func TestFormats(t *testing.T) {
	for _, f := range formats {
		if !slices.ContainsFunc(samples(), func(s sample) bool {
			begin, _, _ := strings.Cut(s.text(), "\n")
			return f.is(begin)
		}) {
			t.Errorf("%s has no sample", f.name)
		}
	}
	for _, s := range samples() {
		text := s.text()
		forms := packed(t, text)
		forms["plain"], forms["byte order mark"], forms["CRLF"], forms["CR"], forms["blank lines"] =
			text, "\ufeff"+text, strings.ReplaceAll(text, "\n", "\r\n"), strings.ReplaceAll(text, "\n", "\r"), "\n\n"+strings.ReplaceAll(text, "\n", "\n\n")
		for form, content := range forms {
			t.Run(s.format+", "+form, func(t *testing.T) {
				r, err := Open(write(t, "log", content))
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				if r.Format() != s.format {
					t.Errorf("%s, want %s", r.Format(), s.format)
				}
				events, err := drain(r)
				if err != nil || !slices.Equal(events, s.events) {
					t.Errorf("%+v, %v", events, err)
				}
				for _, e := range events {
					if err := e.Validate(); err != nil {
						t.Error(err)
					}
				}
				if read, size := r.Progress(); read != size || size != int64(len(content)) {
					t.Errorf("%d of %d bytes, want %d", read, size, len(content))
				}
			})
		}
	}
}

// A stream is read as it comes: an event does not wait for what follows it.
func TestStream(t *testing.T) {
	for _, s := range samples() {
		first := s.begin + s.lines[0] + s.lines[1]
		r, err := NewReader(io.MultiReader(iotest.OneByteReader(strings.NewReader(first)), tooFar{t}), s.format)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range s.events[:2] {
			if e, err := r.Next(); err != nil || *e != want {
				t.Errorf("%s: %v, %v", s.format, e, err)
			}
		}
		if read, size := r.Progress(); read == 0 || size != -1 {
			t.Errorf("%s: %d of %d bytes", s.format, read, size)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// tooFar is what has not come yet.
type tooFar struct{ *testing.T }

func (t tooFar) Read([]byte) (int, error) {
	t.Error("read ahead of what was asked for")
	return 0, io.EOF
}

// Wherever a log is cut, what came before is kept, and what is missing is told
// where it can be told.
func TestCutAtEveryByte(t *testing.T) {
	for _, s := range samples() {
		text := s.text()
		for end := range len(text) {
			events, err := readText(text[:end])
			var whole int // events that have a line end
			if end > len(s.begin) {
				whole = min(strings.Count(text[len(s.begin):end], "\n"), len(s.events))
			}
			if len(events) < whole || !slices.Equal(events[:whole], s.events[:whole]) {
				t.Fatalf("%s, %d bytes: %+v, want the first %d of %+v", s.format, end, events, whole, s.events)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "log:") {
				t.Fatalf("%s, %d bytes: %v", s.format, end, err)
			}
		}
		for form, content := range packed(t, text) {
			for end := 4; end < len(content); end++ {
				events, err := readText(content[:end])
				if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(err.Error(), "log:") || !strings.Contains(err.Error(), "the "+form+" data is cut off here, what came before it was read") {
					t.Fatalf("%s, %d bytes of %s: %v", s.format, end, form, err)
				}
				if n := len(events); n > len(s.events) || !slices.Equal(events, s.events[:n]) {
					t.Fatalf("%s, %d bytes of %s: %+v", s.format, end, form, events)
				}
			}
		}
	}
}

// A long log in compressed form, cut in its middle.
func TestCutArchive(t *testing.T) {
	var text strings.Builder
	text.WriteString(tsvHeader + tsvFields)
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		fmt.Fprintf(&text, "%d.5\tC%x\t10.0.0.1\t1\t10.0.0.2\t2\ttcp\t-\t-\t-\t-\tSF\t-\t-\t-\n", random.IntN(1e9), random.Uint64())
	}
	for form, content := range packed(t, text.String()) {
		events, err := readText(content[:len(content)/2])
		if len(events) < 5_000 || err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("log:%d: the %s data is cut off", len(events)+7, form)) {
			t.Errorf("%s: %d events, %v", form, len(events), err)
		}
	}
}

// After an error a file stays at its end.
func TestErrorsLast(t *testing.T) {
	f, err := Open(write(t, "conn.log", jsonRow+"x\n"+jsonRow))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Next(); err != nil {
		t.Fatal(err)
	}
	_, first := f.Next()
	_, again := f.Next()
	if first == nil || first != again {
		t.Errorf("%v, then %v", first, again)
	}
}

func ExampleOpen() {
	f, err := Open("../../data/sample/raw_packets.csv")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	events := 0
	for {
		_, err := f.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		events++
	}
	fmt.Println(f.Format(), events)
	// Output: raw_packets.csv 2000
}

// fuzz reads any content: whatever is accepted is valid and survives
// raw_packets.csv.
func fuzz(f *testing.F) {
	columns, err := event.ParseHeader(event.Header())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		events, err := readText(string(content))
		if err != nil && !strings.HasPrefix(err.Error(), "log:") {
			t.Fatalf("an error without the log's name: %v", err)
		}
		for _, e := range events {
			if err := e.Validate(); err != nil {
				t.Fatalf("%+v was accepted: %v", e, err)
			}
			row := string(event.AppendCSV(nil, &e))
			var again event.Event
			if err := columns.Decode(row, &again); err != nil || again != e {
				t.Fatalf("wrote %+v, read %+v, %v", e, again, err)
			}
		}
	})
}

func FuzzCompressed(f *testing.F) {
	for _, s := range samples() {
		for _, content := range packed(f, s.text()) {
			f.Add([]byte(content))
		}
	}
	fuzz(f)
}

func benchmark(b *testing.B, header, row string) {
	r, err := NewReader(io.MultiReader(strings.NewReader(header), strings.NewReader(strings.Repeat(row, b.N))), "log")
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
