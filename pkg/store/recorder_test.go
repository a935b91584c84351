package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"soclab/pkg/event"
)

var monday = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func recorder(t *testing.T, raw, truth string) *Recorder {
	t.Helper()
	r, err := NewRecorder(raw, truth)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func close(t *testing.T, r *Recorder) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTruthRoundTrip(t *testing.T) {
	raw, truth := filepath.Join(t.TempDir(), "raw_packets.csv"), filepath.Join(t.TempDir(), "truth.csv")
	r := recorder(t, raw, truth)
	want := event.Truth{EventID: `=a,"b`, Incident: "scan\n1", Scenario: "-scan", Tactic: "TA0007", Techniques: []string{"T1046", "T1595.001"}}
	for _, known := range []*event.Truth{nil, &want, nil} {
		if err := r.Record(&event.Event{Timestamp: monday, ID: "e"}, known); err != nil {
			t.Fatal(err)
		}
	}
	close(t, r)
	var got []event.Truth
	for truth, err := range ReadTruth(truth) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, truth)
	}
	if !reflect.DeepEqual(got, []event.Truth{want}) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if n := strings.Count(content(t, raw), "\n"); n != 4 {
		t.Errorf("%d lines of events, want a header and 3", n)
	}
}

// What is read may be kept: it does not lie in the reader's buffer.
func TestReadTruthMayBeKept(t *testing.T) {
	const n = 5000
	path := filepath.Join(t.TempDir(), "truth.csv")
	r := recorder(t, "", path)
	for i := range n {
		if err := r.Record(nil, &event.Truth{EventID: fmt.Sprint("event ", i), Incident: "i", Scenario: "s", Techniques: []string{"T1046"}}); err != nil {
			t.Fatal(err)
		}
	}
	close(t, r)
	var all []event.Truth
	for truth, err := range ReadTruth(path) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, truth)
	}
	for i, truth := range all {
		if truth.EventID != fmt.Sprint("event ", i) {
			t.Fatalf("%d: %+v", i, truth)
		}
	}
	if len(all) != n {
		t.Errorf("%d rows, want %d", len(all), n)
	}
}

// A reader that knows an event can look up its truth: it is written before.
func TestTruthIsFlushedFirst(t *testing.T) {
	truth := filepath.Join(t.TempDir(), "truth.csv")
	r := recorder(t, filepath.Join(t.TempDir(), "raw_packets.csv"), truth)
	if err := r.Record(&event.Event{Timestamp: monday, ID: "e"}, &event.Truth{EventID: "e", Incident: "i", Techniques: []string{"T1046"}}); err != nil {
		t.Fatal(err)
	}
	r.raw.table.file.Close() // the events cannot be written
	if err := r.Flush(); err == nil {
		t.Fatal("no error although raw_packets.csv is closed")
	}
	if !strings.Contains(content(t, truth), "\ne,i,") {
		t.Error("the truth was not written before the events")
	}
}

// A recorder whose file was put aside begins a new one.
func TestRecordingGoesOnInANewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raw_packets.csv")
	r := recorder(t, path, "")
	for _, name := range []string{path + ".1", path + ".2", path} {
		if err := errors.Join(r.Record(&event.Event{Timestamp: monday, ID: name}, nil), r.Flush()); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); !strings.HasPrefix(got, event.Header()+"\n") || strings.Count(got, "\n") != 2 || !strings.Contains(got, ","+name+",") {
			t.Errorf("%s: %q", name, got)
		}
		if err := os.Rename(path, name); err != nil {
			t.Fatal(err)
		}
	}
	close(t, r)
}

// Who never flushes does not fill the memory.
func TestRecordingIsBounded(t *testing.T) {
	r := recorder(t, filepath.Join(t.TempDir(), "raw_packets.csv"), filepath.Join(t.TempDir(), "truth.csv"))
	large := strings.Repeat("x", 10_000)
	for range 100 {
		if err := r.Record(&event.Event{Timestamp: monday, ID: "e", User: large}, &event.Truth{EventID: large}); err != nil {
			t.Fatal(err)
		}
		if n := r.size(); n > flushSize+3*len(large) {
			t.Fatalf("%d bytes are kept in memory", n)
		}
	}
	close(t, r)
}

func TestRecording(t *testing.T) {
	header := event.Header() + "\n"
	row := func(id string) string {
		return "2026-03-02T08:00:00Z," + id + strings.Repeat(",", int(event.FieldCount)-2) + "\n"
	}
	older := "@timestamp,event.id,user.name\n"
	upgraded := string(event.AppendCSV(nil, &event.Event{Timestamp: monday, ID: "a", User: "x, y"})) + "\n"
	for _, c := range []struct{ name, before, after string }{
		{"no file", "", header + row("new")},
		{"after rows", header + row("a"), header + row("a") + row("new")},
		{"after a torn row", header + row("a") + row("b")[:30], header + row("a") + row("new")},
		{"after a torn header", header[:20], header + row("new")},
		{"after a long torn row", header + row("a") + strings.Repeat("x", 10000), header + row("a") + row("new")},
		{"of an older version", older + "2026-03-02T08:00:00Z,a,\"x, y\"\n", header + upgraded + row("new")},
		{"saved with line ends of Windows", strings.ReplaceAll(header+row("a"), "\n", "\r\n"), header + row("a") + row("new")},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, "raw_packets.csv", c.before)
			for range 2 { // nothing written changes no more
				close(t, recorder(t, path, ""))
			}
			r := recorder(t, path, "")
			if err := r.Record(&event.Event{Timestamp: monday, ID: "new"}, nil); err != nil {
				t.Fatal(err)
			}
			close(t, r)
			if got := content(t, path); got != c.after {
				t.Errorf("got  %q\nwant %q", got, c.after)
			}
		})
	}
	for _, before := range []string{"id,time\n1,2\n", header[:20] + "\n", "x", strings.Replace(header, "user.name", "user.nick", 1)} {
		path := write(t, "raw_packets.csv", before)
		if _, err := NewRecorder(path, ""); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "first row") {
			t.Errorf("%q: %v, want that the first row is another", before, err)
		}
		if got := content(t, path); got != before {
			t.Errorf("a file that was refused was changed: %q", got)
		}
	}
}

// Whoever opens or appends must not cut off what others have just written, and
// must cut off what one that was killed left unfinished.
func TestRecordingTogether(t *testing.T) {
	const writers, rounds = 8, 30
	path := filepath.Join(t.TempDir(), "raw_packets.csv")
	var work sync.WaitGroup
	for range writers {
		work.Go(func() {
			for range rounds {
				r, err := NewRecorder(path, "")
				if err != nil {
					t.Error(err)
					return
				}
				for range 2 {
					r.raw.table.lock.Lock() // one that is killed dies with the lock
					r.raw.table.file.Write([]byte("2026-03-02T08:00"))
					r.raw.table.lock.Unlock()
					r.Record(&event.Event{Timestamp: monday, ID: "new"}, nil)
					if err := r.Flush(); err != nil {
						t.Error(err)
					}
				}
				close(t, r)
			}
		})
	}
	work.Wait()
	close(t, recorder(t, path, ""))
	lines := strings.SplitAfter(content(t, path), "\n")
	for i, line := range lines[:len(lines)-1] {
		if want := "2026-03-02T08:00:00Z,new,"; i > 0 && !strings.HasPrefix(line, want) {
			t.Fatalf("line %d: %q", i+1, line)
		}
	}
	if want := 1 + writers*rounds*2 + 1; len(lines) != want {
		t.Errorf("%d lines, want %d", len(lines), want)
	}
}

func TestReadTruthRefuses(t *testing.T) {
	header := strings.Join(truthColumns, ",") + "\n"
	const good = "a,port-scan-1,port-scan,TA0007,T1046;T1595\n"
	for _, c := range []struct{ name, content, want string }{
		{"another header", "id\n", `:1: header "id": want the columns event.id,incident`},
		{"a short row", header + good + "a,b\n", ":3: row of 2 cells: want 5"},
		{"a long row", header + strings.TrimSpace(good) + ",more\n", ":2: row of 6 cells: want 5"},
		{"no incident", header + "a,,x,TA0007,T1046\n", ":2: incident"},
		{"no technique", header + "a,b,x,TA0007,\n", ":2: threat.technique.id"},
	} {
		var last error
		for _, err := range ReadTruth(write(t, "truth.csv", c.content)) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, last, c.want)
		}
	}
	for range ReadTruth(write(t, "truth.csv", header+good+"broken\n")) {
		break // stops before the broken row
	}
}
