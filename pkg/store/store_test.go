package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"soclab/pkg/event"
	"soclab/pkg/store"
)

var (
	sent     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	benign   = &event.Verdict{Class: event.Benign}
	portScan = &event.Verdict{
		Class: "Port scan, vertical", RuleID: "r1", RuleLevel: "medium", Matches: []string{"r1", "r2"},
		Tactic: event.Threat{ID: "TA0007", Name: "Discovery"}, Technique: event.Threat{ID: "T1046", Name: "Network Service Discovery"},
	}
)

var header = strings.Join(event.RowColumns(), ",")

// batch makes records first to last of a partition.
func batch(partition int, first, last int64) *event.Batch {
	b := &event.Batch{Topic: "events.raw", Partition: partition}
	for offset := first; offset <= last; offset++ {
		b.Records = append(b.Records, event.Record{Offset: offset, Time: sent, Verdict: []*event.Verdict{benign, portScan}[offset%2], Event: event.Event{
			Timestamp: sent.Add(-time.Second), ID: fmt.Sprintf("E%d-%d", partition, offset), User: "two\nlines, \"quoted\"",
		}})
	}
	return b
}

func open(t *testing.T, path string) *store.Results {
	t.Helper()
	f, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func appendTo(t *testing.T, f *store.Results, partition int, first, last int64) {
	t.Helper()
	b := batch(partition, first, last)
	if err := f.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// expect checks that the file holds offsets 0 to last of each partition, each
// once and in order, whole.
func expect(t *testing.T, path string, last ...int64) {
	t.Helper()
	next := make([]int64, len(last))
	for row, err := range store.Read(path) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Offset != next[row.Partition] || row.ID != fmt.Sprintf("E%d-%d", row.Partition, row.Offset) {
			t.Fatalf("partition %d: offset %d of event %s, want offset %d", row.Partition, row.Offset, row.ID, next[row.Partition])
		}
		next[row.Partition]++
	}
	for partition := range last {
		if next[partition] != last[partition]+1 {
			t.Errorf("partition %d: %d rows, want %d", partition, next[partition], last[partition]+1)
		}
	}
}

func expectLast(t *testing.T, f *store.Results, partition int, offset int64) {
	t.Helper()
	got, id, ok, err := f.Last(partition)
	if err != nil || !ok || got != offset || id != fmt.Sprintf("E%d-%d", partition, offset) {
		t.Errorf("last of partition %d: %d %s %v %v, want %d", partition, got, id, ok, err, offset)
	}
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	appendTo(t, open(t, path), 0, 0, 1)
	var rows []event.Row
	for row, err := range store.Read(path) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if b := batch(0, 0, 1); len(rows) != 2 || !reflect.DeepEqual(*rows[1].Record, b.Records[1]) {
		t.Fatalf("rows %+v, want %+v", rows, b.Records)
	}
	if rows[0].Verdict.Class != event.Benign || rows[0].Ingested.Before(sent) {
		t.Errorf("first row %+v", rows[0])
	}
}

func TestAppendDropsWhatIsHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	a, b := open(t, path), open(t, path)
	appendTo(t, a, 0, 0, 9)
	appendTo(t, b, 0, 0, 4)   // all held
	appendTo(t, b, 0, 5, 14)  // half held
	appendTo(t, a, 0, 10, 19) // written by the other in part
	appendTo(t, b, 1, 0, 3)
	expect(t, path, 19, 3)
	expectLast(t, a, 0, 19)
	expectLast(t, a, 1, 3)
	if _, _, ok, err := a.Last(2); ok || err != nil {
		t.Errorf("partition 2 has a row: %v", err)
	}
	unclassified := batch(0, 20, 21)
	unclassified.Records[1].Verdict = nil
	if err := a.Append(t.Context(), unclassified); err == nil || !strings.Contains(err.Error(), "offset 21 of partition 0 is not classified") {
		t.Errorf("error %v", err)
	}
	expect(t, path, 19, 3)
}

func TestTornTailIsCut(t *testing.T) {
	for _, torn := range []string{"2026-03-01T12:00:00Z,half a r", strings.Repeat("x", 200_000)} {
		path := filepath.Join(t.TempDir(), "classified_packets.csv")
		appendTo(t, open(t, path), 0, 0, 5)
		spill(t, path, torn)
		f := open(t, path)
		expectLast(t, f, 0, 5)
		spill(t, path, torn) // another process dies while this one is at work
		appendTo(t, f, 0, 6, 7)
		expect(t, path, 7)
	}
}

func spill(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestTornHeader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	if err := os.WriteFile(path, []byte(header[:20]), 0o644); err != nil {
		t.Fatal(err)
	}
	appendTo(t, open(t, path), 0, 0, 2)
	expect(t, path, 2)
}

func TestOtherFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	if err := os.WriteFile(path, []byte("name,age\nalice,7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(path); err == nil || !strings.Contains(err.Error(), `its first row is "name,age"`) {
		t.Errorf("error %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "name,age\nalice,7\n" {
		t.Errorf("the file was changed: %q", data)
	}
}

// A file that was written before a column was added is read as it is, and gone
// on with: its rows lack that column alone, and the next ones have it.
func TestFileOfAnOlderVersion(t *testing.T) {
	columns := event.RowColumns()
	for added, column := range columns {
		if slices.Contains([]string{"@timestamp", "event.id", "class", "kafka.partition", "kafka.offset"}, column) {
			continue // there from the first version on
		}
		t.Run(column, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "classified_packets.csv")
			appendTo(t, open(t, path), 0, 0, 3)
			var older []byte
			for line := range strings.Lines(content(t, path)) {
				cells, err := event.SplitRow(strings.TrimSuffix(line, "\n"), nil)
				if err != nil {
					t.Fatal(err)
				}
				older = append(event.JoinRow(older, slices.Delete(cells, added, added+1)), '\n')
			}
			if err := os.WriteFile(path, append(older, "a torn row"...), 0o644); err != nil {
				t.Fatal(err)
			}
			expect(t, path, 3) // read by who does not write
			f := open(t, path)
			expectLast(t, f, 0, 3)
			appendTo(t, f, 0, 2, 5)
			expect(t, path, 5)
			appendTo(t, open(t, path), 0, 6, 6)
			expect(t, path, 6)
			lines := strings.Split(content(t, path), "\n")
			if lines[0] != header {
				t.Errorf("header %s", lines[0])
			}
			cell := func(line int) string {
				cells, err := event.SplitRow(lines[line], nil)
				if err != nil || len(cells) != len(columns) {
					t.Fatalf("row %q: %v", lines[line], err)
				}
				return cells[added]
			}
			if old := cell(4); old != "" {
				t.Errorf("an old row has %q", old)
			}
			if value, is := map[string]string{"user.name": "two\\nlines, \"quoted\"", "rule.matches": "r1;r2"}[column]; is && cell(6) != value {
				t.Errorf("a new row has %q, want %q", cell(6), value)
			}
		})
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

// A partition's last row may be far from the end.
func TestLastIsFoundFarBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	f := open(t, path)
	appendTo(t, f, 1, 0, 0)
	appendTo(t, f, 0, 0, 5000)
	fresh := open(t, path)
	expectLast(t, fresh, 0, 5000)
	expectLast(t, fresh, 1, 0)
	appendTo(t, open(t, path), 1, 0, 1)
	expect(t, path, 5000, 1)
}

func TestShortenedFileIsNoticed(t *testing.T) {
	for name, change := range map[string]func(string) error{
		"shortened": func(path string) error { return os.Truncate(path, int64(len(header)+1)) },
		"deleted":   os.Remove,
	} {
		path := filepath.Join(t.TempDir(), "classified_packets.csv")
		f := open(t, path)
		appendTo(t, f, 0, 0, 5)
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		b := batch(0, 6, 9)
		if err := f.Append(t.Context(), b); !errors.Is(err, store.ErrChanged) {
			t.Errorf("%s: error %v", name, err)
		}
		appendTo(t, open(t, path), 0, 0, 9) // a new start rebuilds it
		expect(t, path, 9)
	}
}

// Several writers who all got the same batches write each row once.
func TestManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	var writers sync.WaitGroup
	for range 4 {
		f := open(t, path)
		writers.Go(func() {
			for first := int64(0); first < 2000; first += 50 {
				for partition := range 2 {
					b := batch(partition, max(0, first-20), first+49)
					if err := f.Append(context.Background(), b); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	writers.Wait()
	expect(t, path, 1999, 1999)
}

// TestKill kills writing processes at any moment, again and again.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	deadline := time.Now().Add(5 * time.Minute)
	for round := range 12 {
		before := size()
		writer := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMain$")
		writer.Env = append(os.Environ(), "STORE_WRITER="+path)
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		for size() <= before+int64(round)<<16 { // never at the same place of a write
			if time.Sleep(time.Millisecond); time.Now().After(deadline) {
				t.Fatalf("round %d: the file does not grow", round)
			}
		}
		writer.Process.Kill()
		writer.Wait()
	}
	f := open(t, path)
	offset, _, ok, err := f.Last(0)
	if !ok || err != nil {
		t.Fatalf("nothing was written: %v", err)
	}
	expect(t, path, offset)
}

func TestMain(m *testing.M) {
	path := os.Getenv("STORE_WRITER")
	if path == "" {
		os.Exit(m.Run())
	}
	f, err := store.Open(path)
	if err != nil {
		panic(err)
	}
	offset, _, ok, err := f.Last(0)
	if err != nil {
		panic(err)
	}
	if !ok {
		offset = -1
	}
	for {
		b := batch(0, offset+1, offset+3000)
		if err := f.Append(context.Background(), b); err != nil {
			panic(err)
		}
		offset += 3000
	}
}

func TestAppendDoesNotAllocatePerRow(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "classified_packets.csv"))
	var first int64
	b := batch(0, 0, 999)
	for i := range b.Records {
		b.Records[i].User = ""
	}
	allocations := testing.AllocsPerRun(20, func() {
		for i := range b.Records {
			b.Records[i].Offset = first
			first++
		}
		if err := f.Append(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 40 {
		t.Errorf("%v allocations for a batch of 1,000 rows", allocations)
	}
}

func BenchmarkAppend(b *testing.B) {
	f, err := store.Open(filepath.Join(b.TempDir(), "classified_packets.csv"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var first int64
	records := batch(0, 0, 3499)
	b.ReportAllocs()
	for b.Loop() {
		for i := range records.Records {
			records.Records[i].Offset = first
			first++
		}
		if err := f.Append(context.Background(), records); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(first), "ns/event")
}

func FuzzRead(f *testing.F) {
	f.Add(header + "\n2026-03-01T12:00:00Z,E1,,,\n")
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "classified_packets.csv")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, err := range store.Read(path) {
			if err != nil {
				break
			}
		}
		file, err := store.Open(path)
		if err != nil {
			return
		}
		defer file.Close()
		_, _, _, _ = file.Last(0)
	})
}
