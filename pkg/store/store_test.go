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

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"soclab/pkg/event"
	"soclab/pkg/store"
	"soclab/pkg/tracing/spans"
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

// A record without a time has no event.created: what is absent is absent.
func TestRecordWithoutATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	b := batch(0, 0, 0)
	b.Records[0].Time = time.Time{}
	if err := open(t, path).Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for row, err := range store.Read(path) {
		if err != nil || !row.Time.IsZero() || row.Ingested.IsZero() {
			t.Errorf("%+v, %v", row, err)
		}
	}
	if strings.Contains(content(t, path), "0001-01-01") {
		t.Error("the file has a time that nobody gave")
	}
	var rows event.RowEncoder
	if message := string(rows.AppendJSON(nil, &event.Row{Record: &b.Records[0]})); strings.Contains(message, "event.created") {
		t.Errorf("published: %s", message)
	}
}

// What is read may be kept: it does not lie in the reader's buffer.
func TestReadRowsMayBeKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	const last = 3000
	appendTo(t, open(t, path), 0, 0, last)
	var rows []event.Row
	for row, err := range store.Read(path) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	for i, row := range rows {
		if row.ID != fmt.Sprintf("E0-%d", i) {
			t.Fatalf("row %d is now of event %s", i, row.ID)
		}
	}
	if len(rows) != last+1 {
		t.Errorf("%d rows, want %d", len(rows), last+1)
	}
}

func TestReadRefuses(t *testing.T) {
	const needed = "@timestamp,event.id,class,kafka.partition,kafka.offset"
	const row = "2026-03-01T12:00:00Z,E,benign,0,0\n"
	for _, test := range []struct{ content, want string }{
		{"@timestamp,event.id,kafka.partition,kafka.offset\n", ":1: header: want a column class"},
		{"@timestamp,event.id,class,kafka.offset\n", ":1: header: want a column kafka.partition"},
		{"@timestamp,event.id,class,kafka.partition\n", ":1: header: want a column kafka.offset"},
		{needed + "\n" + row + "2026-03-01T12:00:00Z,E,benign,0\n", ":3: row of 4 cells: want 5"},
		{needed + "\n" + row + "2026-03-01T12:00:00Z,E,benign,0,0,0\n", ":3: row of 6 cells: want 5"},
		{needed + "\n" + row + "2026-03-01T12:00:00Z,E,benign,-1,0\n", `:3: kafka.partition: "-1": want a whole number`},
		{needed + "\n" + row + "2026-03-01T12:00:00Z,E,benign,2147483648,0\n", `:3: kafka.partition: "2147483648"`},
		{needed + "\n" + row + "2026-03-01T12:00:00Z,E,benign,0,x\n", `:3: kafka.offset: "x": want a whole number`},
		{needed + "\n" + row + "yesterday,E,benign,0,0\n", `:3: @timestamp: "yesterday"`},
	} {
		path := filepath.Join(t.TempDir(), "classified_packets.csv")
		if err := os.WriteFile(path, []byte(test.content), 0o644); err != nil {
			t.Fatal(err)
		}
		var last error
		for _, err := range store.Read(path) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), path+test.want) {
			t.Errorf("%q: error %v, want %s", test.content, last, test.want)
		}
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
	const older = "@timestamp,event.id,class,kafka.partition,kafka.offset"
	const row = "2026-03-01T12:00:00Z,E,benign,0,0"
	for _, test := range []struct{ content, want string }{
		{"name,age\nalice,7\n", `its first row is "name,age"`},
		{older[:len(older)-len(",kafka.offset")] + "\n", "its first row is"},
		{older + ",event.id\n", "its first row is"},
		{older + ",of.a.newer.version\n", "its first row is"},
		{older + "\n" + row + "\n" + row + ",more\n", "line 3: row of 6 cells: want 5"},
		{older + "\n" + row[:30] + "\n", "line 2: row of 4 cells: want 5"},
	} {
		path := filepath.Join(t.TempDir(), "classified_packets.csv")
		if err := os.WriteFile(path, []byte(test.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %s", test.content, err, test.want)
		}
		if got := content(t, path); got != test.content {
			t.Errorf("the file was changed: %q", got)
		}
		if left, _ := filepath.Glob(path + ".new"); left != nil {
			t.Errorf("%q: %s is left behind", test.content, left)
		}
	}
}

// Each sampled record has its trace in its row, and a span over the write of its
// batch, which tells where that failed.
func TestSpans(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	f, b := open(t, path), batch(0, 0, 4)
	var parents []trace.SpanContext
	for _, index := range []int{1, 3} {
		ctx, consume := tracer.Start(t.Context(), "kafka.consume")
		parents = append(parents, consume.SpanContext())
		b.Sampled = append(b.Sampled, event.Sampled{Index: index, Context: ctx})
	}
	if err := f.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	var ids, want []string
	for row, err := range store.Read(path) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, row.TraceID)
	}
	if want = []string{"", parents[0].TraceID().String(), "", parents[1].TraceID().String(), ""}; !slices.Equal(ids, want) {
		t.Errorf("trace ids %q, want %q", ids, want)
	}
	b.Records[4].Verdict = nil
	if err := f.Append(t.Context(), b); err == nil {
		t.Fatal("no error")
	}
	written := recorder.Ended()
	if len(written) != 4 {
		t.Fatalf("%d spans, want 4", len(written))
	}
	for i, span := range written {
		if span.Name() != spans.Store || span.Parent().SpanID() != parents[i%2].SpanID() || !slices.Contains(span.Attributes(), spans.BatchSize.Int(5)) {
			t.Errorf("span %s of parent %s with %v", span.Name(), span.Parent().SpanID(), span.Attributes())
		}
		if first := written[i-i%2]; span.StartTime() != first.StartTime() || span.EndTime() != first.EndTime() || !span.EndTime().After(span.StartTime()) {
			t.Errorf("span %d from %s to %s, want the whole time of the write", i, span.StartTime(), span.EndTime())
		}
		if failed := len(span.Events()) == 1; failed != (i >= 2) {
			t.Errorf("span %d tells of a failure: %v", i, failed)
		}
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

// A row may be longer than what is read at a time.
func TestLastBehindLongRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	a, b := open(t, path), open(t, path)
	appendTo(t, a, 1, 0, 0)
	long := batch(0, 0, 3)
	for i := range long.Records {
		long.Records[i].User = strings.Repeat("\x01", 60_000) // six bytes each in the file
	}
	if err := a.Append(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*store.Results{a, b, open(t, path)} {
		expectLast(t, f, 0, 3)
		expectLast(t, f, 1, 0)
	}
	expect(t, path, 3, 0)
}

func TestPutAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	a, b := open(t, path), open(t, path)
	appendTo(t, a, 0, 0, 5)
	name, err := a.PutAside()
	if err != nil || name == "" {
		t.Fatalf("%q, %v", name, err)
	}
	expect(t, name, 5)
	if _, _, ok, _ := a.Last(0); ok {
		t.Error("the new file has rows")
	}
	// The other process had the same in mind, and must not move the new file.
	if name, err := b.PutAside(); err != nil || name != "" {
		t.Errorf("put aside twice: %q, %v", name, err)
	}
	appendTo(t, b, 0, 0, 2)
	appendTo(t, a, 0, 3, 4)
	expect(t, path, 4)
	// However soon it is done again, nothing that was put aside is lost.
	aside := map[string]bool{name: true}
	for range 20 {
		if name, err = b.PutAside(); err != nil {
			t.Fatal(err)
		}
		aside[name] = true
	}
	if len(aside) != 21 {
		t.Errorf("21 files were put aside under %d names", len(aside))
	}
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
