package traffic

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"soclab/pkg/event"
	"soclab/pkg/sensor"
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

// readRaw returns all events of raw_packets.csv.
func readRaw(t *testing.T, path string) (all []event.Event) {
	t.Helper()
	r, err := sensor.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *e)
	}
}

func TestRawRoundTrip(t *testing.T) {
	folder := t.TempDir()
	o := Options{Seed: 4, Start: monday, Events: 3000, AttackShare: 0.2}
	var want []event.Event
	truths := map[string]Truth{}
	each(t, o, func(e *event.Event, truth *Truth) {
		want = append(want, *e)
		if truth != nil {
			truths[e.ID] = *truth
		}
	})
	writeRun(t, folder, o)
	if !reflect.DeepEqual(readRaw(t, filepath.Join(folder, "raw_packets.csv")), want) {
		t.Error("raw_packets.csv holds other events than were written")
	}
	n := 0
	for truth, err := range ReadTruth(filepath.Join(folder, "truth.csv")) {
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(truth, truths[truth.EventID]) {
			t.Errorf("%+v, want %+v", truth, truths[truth.EventID])
		}
		n++
	}
	if n != len(truths) {
		t.Errorf("%d rows of truth, want %d", n, len(truths))
	}
}

func TestAppending(t *testing.T) {
	header := event.Header() + "\n"
	row := func(id string) string { return "2026-03-02T08:00:00Z," + id + strings.Repeat(",", 27) + "\n" }
	e := event.Event{Timestamp: monday, ID: "new"}
	for _, c := range []struct{ name, before, after string }{
		{"no file", "", header + row("new")},
		{"after rows", header + row("a"), header + row("a") + row("new")},
		{"after a torn row", header + row("a") + row("b")[:30], header + row("a") + row("new")},
		{"after a torn header", header[:20], header + row("new")},
		{"after a long torn row", header + row("a") + strings.Repeat("x", 10000), header + row("a") + row("new")},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, "raw_packets.csv", c.before)
			for range 2 { // nothing written changes no more
				w, err := NewRawWriter(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
			w, err := NewRawWriter(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Write(&e); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.after {
				t.Errorf("got  %q\nwant %q", got, c.after)
			}
		})
	}
	for _, before := range []string{"id,time\n1,2\n", header[:20] + "\n", "x"} {
		path := write(t, "raw_packets.csv", before)
		if _, err := NewRawWriter(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "header") {
			t.Errorf("%q: %v, want that the header is another", before, err)
		}
		if got, _ := os.ReadFile(path); string(got) != before {
			t.Errorf("a file that was refused was changed: %q", got)
		}
	}
}

// Whoever opens or appends must not cut off what others have just written, and
// must cut off what one that was killed left unfinished.
func TestAppendingTogether(t *testing.T) {
	const writers, rounds = 8, 30
	path := filepath.Join(t.TempDir(), "raw_packets.csv")
	var work sync.WaitGroup
	for range writers {
		work.Go(func() {
			for range rounds {
				w, err := NewRawWriter(path)
				if err != nil {
					t.Error(err)
					return
				}
				for range 2 {
					w.lock.Lock() // one that is killed dies with the lock
					w.file.WriteString("2026-03-02T08:00")
					w.lock.Unlock()
					w.Write(&event.Event{Timestamp: monday, ID: "new"})
					if err := w.Flush(); err != nil {
						t.Error(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	w, err := NewRawWriter(path)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got, want := len(readRaw(t, path)), writers*rounds*2; got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
}

func TestReadTruthRefuses(t *testing.T) {
	const good = "a,port-scan-1,port-scan,TA0007,T1046;T1595\n"
	for _, c := range []struct{ name, content, want string }{
		{"an empty file", "", "empty: want the header event.id,"},
		{"another header", "id\n", `:1: header "id": want event.id,incident`},
		{"a short row", truthHeader + "\n" + good + "a,b\n", ":3: row of 2 cells: want 5"},
		{"no incident", truthHeader + "\na,,x,TA0007,T1046\n", ":2: "},
		{"no technique", truthHeader + "\na,b,x,TA0007,\n", ":2: "},
	} {
		var last error
		for _, err := range ReadTruth(write(t, "truth.csv", c.content)) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, last, c.want)
		}
	}
	for range ReadTruth(write(t, "truth.csv", truthHeader+"\n"+good+"broken\n")) {
		break // stops before the broken row
	}
}
