package stats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"soclab/pkg/event"
)

// rowAt is a row of a source at so many seconds after the start, stored after
// 20 ms.
func rowAt(seconds, partition int, offset int64, source string, v event.Verdict) classified {
	when := start.Add(time.Duration(seconds) * time.Second)
	return classified{
		Event: event.Event{
			Timestamp: when, ID: fmt.Sprintf("E%d-%d", partition, offset),
			Source: event.Endpoint{IP: netip.MustParseAddr(source)},
		},
		verdict: v, created: when, ingested: when.Add(20 * time.Millisecond),
		partition: partition, offset: offset,
	}
}

// fewRows has what a log can have: three partitions, of which one has a gap, a
// rule that only matched beside another, a rule without technique, a title
// that is escaped, a source that is absent.
func fewRows() []classified {
	both := bruteForce
	both.Matches = []string{"r-brute", "r-spray"}
	bare := event.Verdict{Class: `=odd, "rule"`, RuleID: "r-bare", RuleLevel: "low", Matches: []string{"r-bare"}}
	rows := []classified{
		rowAt(0, 0, 10, "10.0.0.1", benign),
		rowAt(30, 0, 11, "10.0.0.1", benign),
		rowAt(61, 0, 13, "10.0.0.1", portScan),
		rowAt(62, 0, 14, "10.0.0.1", portScan),
		rowAt(5, 1, 0, "10.0.0.2", benign),
		rowAt(130, 1, 1, "10.0.0.2", both),
		rowAt(131, 1, 2, "10.0.0.3", bare),
		rowAt(240, 2, 7, "fd00::1", benign),
	}
	rows[7].Source.IP = netip.Addr{}
	return rows
}

func summarize(t *testing.T, texts ...string) *Summary {
	t.Helper()
	var files []string
	for _, text := range texts {
		files = append(files, write(t, text))
	}
	s, err := Read(t.Context(), files...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReadCountsEverything(t *testing.T) {
	s := summarize(t, csvFile(fewRows()...))
	if s.Events != 8 || s.Benign != 4 || s.Detected != 4 {
		t.Errorf("%d events, %d benign, %d detected: want 8, 4, 4", s.Events, s.Benign, s.Detected)
	}
	if want := []Partition{
		{0, 4, 2, 2, 10, 14, 1},
		{1, 3, 1, 2, 0, 2, 0},
		{2, 1, 1, 0, 7, 7, 0},
	}; !slices.Equal(s.ByPartition, want) {
		t.Errorf("partitions %v: want %v", s.ByPartition, want)
	}
	if want := []Rule{
		{"r-scan", "Port Scan of Many Ports", "medium", "T1046", 2, 2},
		{"r-bare", `=odd, "rule"`, "low", "", 1, 1},
		{"r-brute", "Many Failed Logins of One Account", "high", "T1110.001", 1, 1},
		{"r-spray", "", "", "", 1, 0},
	}; !slices.Equal(s.ByRule, want) {
		t.Errorf("rules %v: want %v", s.ByRule, want)
	}
	if want := []Source{
		{"10.0.0.1", 4, 2, 50}, {"10.0.0.2", 2, 1, 25}, {"10.0.0.3", 1, 1, 12.5},
	}; !slices.Equal(s.BySource, want) {
		t.Errorf("sources %v: want %v", s.BySource, want)
	}

	var text strings.Builder
	if err := s.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "summary.txt", text.String())
	js, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "summary.json", string(js)+"\n")
}

func TestReadOfNothingHasEmptyLists(t *testing.T) {
	for name, text := range map[string]string{"header alone": csvFile(), "empty": "", "torn header": "@timesta"} {
		t.Run(name, func(t *testing.T) {
			s := summarize(t, text)
			js, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if s.Events != 0 || strings.Contains(string(js), "null") {
				t.Errorf("%s: want no events and no null", js)
			}
			for _, frame := range []interface{ Nrow() int }{
				Frame(s.ByClass), Frame(s.ByTechnique), Frame(s.ByRule), Frame(s.ByPartition), Frame(s.BySource), s.Heatmap(5),
			} {
				if frame.Nrow() != 0 {
					t.Errorf("%v: want no rows", frame)
				}
			}
			if err := s.WriteText(new(strings.Builder)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEachOffsetCountsOnce(t *testing.T) {
	rows := fewRows()
	whole := summarize(t, csvFile(rows...))
	var text, wholeText strings.Builder
	// The partitions moved between two hosts; both stored some rows.
	s := summarize(t, csvFile(rows[4:]...), csvFile(rows[:6]...), csvFile(rows[2:3]...))
	if s.Duplicates != 3 {
		t.Errorf("%d duplicates: want 3", s.Duplicates)
	}
	s.Duplicates = 0
	if err := errors.Join(s.WriteText(&text), whole.WriteText(&wholeText)); err != nil {
		t.Fatal(err)
	}
	if text.String() != wholeText.String() {
		t.Errorf("many files:\n%s\none file:\n%s", &text, &wholeText)
	}
}

func TestRepeatedIDsAreNamed(t *testing.T) {
	rows := fewRows()
	again := fewRows()[:3] // published twice: the same ids at new offsets
	for i := range again {
		again[i].offset += 100
	}
	s := summarize(t, csvFile(append(rows, again...)...))
	if s.Events != 11 || s.Repeated.Rows != 3 || s.Repeated.Sampled {
		t.Errorf("%d events, %+v: want 11 with 3 repeated", s.Events, s.Repeated)
	}
	if want := []string{"E0-10", "E0-11", "E0-13"}; !slices.Equal(s.Repeated.Examples, want) {
		t.Errorf("repeated %v: want %v", s.Repeated.Examples, want)
	}
}

func TestTornLineIsLeftOut(t *testing.T) {
	text := csvFile(fewRows()...)
	for _, cut := range []int{1, 10, 80} {
		s := summarize(t, text[:len(text)-cut])
		if s.Events != 7 || s.Torn != 1 {
			t.Errorf("without the last %d bytes: %d events, %d torn: want 7, 1", cut, s.Events, s.Torn)
		}
	}
}

func TestColumnsAreFoundByName(t *testing.T) {
	want := summarize(t, csvFile(fewRows()...))
	var reversed strings.Builder
	for line := range strings.Lines(csvFile(fewRows()...)) {
		cells, err := event.SplitRow(strings.TrimSpace(line), nil)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(cells)
		for _, cell := range append(cells, "new") {
			fmt.Fprintf(&reversed, `"%s",`, strings.ReplaceAll(cell, `"`, `""`))
		}
		reversed.WriteString("last\r\n")
	}
	s := summarize(t, "\ufeff"+reversed.String())
	if s.Events != want.Events || !slices.Equal(s.ByRule, want.ByRule) || !slices.Equal(s.ByPartition, want.ByPartition) {
		t.Errorf("%+v: want %+v", s, want)
	}
}

func TestBadRowsAreErrorsWithFileAndLine(t *testing.T) {
	good := csvFile(fewRows()[:2]...)
	replace := func(old, new string) string {
		t.Helper()
		i := strings.LastIndex(good, old)
		if i < 0 {
			t.Fatalf("no %q in %s", old, good)
		}
		return good[:i] + new + good[i+len(old):]
	}
	for _, test := range []struct{ name, text, want string }{
		{"narrow row", good + "a,b\n", fmt.Sprintf(":4: row of 2 cells: want %d", event.ColumnCount)},
		{"empty line", good + "\n", fmt.Sprintf(":4: row of 1 cells: want %d", event.ColumnCount)},
		{"open quote", replace("10.0.0.1", `"10.0.0.1`), ":3: column 8:"},
		{"event time", replace("2026-03-01T12:00:30Z,E0", "yesterday,E0"), `:3: @timestamp: "yesterday": want an RFC 3339 time`},
		{"stored time", replace("30.02Z", "30.02"), ":3: event.ingested:"},
		{"no id", replace("E0-11", ""), ":3: event.id: want a value"},
		{"no class", replace("benign", ""), ":3: class: want a value"},
		{"source", replace("10.0.0.1", "10.0.0.999"), `:3: source.ip: "10.0.0.999": want an address`},
		{"partition", replace(",0,11\n", ",-1,11\n"), `:3: kafka.partition: "-1"`},
		{"offset", replace(",0,11\n", ",0,x\n"), `:3: kafka.offset: "x"`},
		{"huge offset", replace(",0,11\n", ",0,9223372036854775807\n"), ":3: kafka.offset:"},
		{"missing column", strings.Replace(good, "kafka.offset", "offset", 1), ":1: header: want a column kafka.offset"},
		{"column twice", strings.Replace(good, "trace.id", "class", 1), `:1: header: "class": want each column once`},
		{"long line", good + strings.Repeat("x", event.MaxLine) + "\n", `:4: "xxx`},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := write(t, test.text)
			_, err := Read(t.Context(), file)
			if err == nil || !strings.Contains(err.Error(), file+test.want) {
				t.Errorf("error %v: want %s%s", err, file, test.want)
			}
		})
	}
}

func TestReadWithoutFile(t *testing.T) {
	if _, err := Read(t.Context()); err == nil {
		t.Error("no file: want an error")
	}
	missing := filepath.Join(t.TempDir(), "missing.csv")
	if _, err := Read(t.Context(), missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v: want %v", err, os.ErrNotExist)
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ctx, writeDay(t, 10_000)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v: want %v", err, context.Canceled)
	}
}

// What Read allocates in all, garbage included, is the same for any length:
// the table of ids, the buffer, and the counts.
func TestMemoryIsBounded(t *testing.T) {
	file := writeDay(t, 100_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Read(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 20 {
		t.Errorf("%d MiB allocated: want at most 20", mib)
	}
}

func TestFrames(t *testing.T) {
	s := summarize(t, csvFile(fewRows()...))
	for _, test := range []struct {
		name  string
		frame fmt.Stringer
		want  string
	}{
		{"classes", Frame(s.ByClass), "classes.txt"},
		{"tactics", Frame(s.ByTactic).Select([]int{1, 2, 3}), "tactics.txt"},
		{"techniques", Frame(s.ByTechnique), "techniques.txt"},
		{"processing", Frame(s.ByPartition), "processing.txt"},
		{"sources", Frame(s.BySource[:2]), "sources.txt"},
		{"heatmap", s.Heatmap(2), "heatmap.txt"},
	} {
		t.Run(test.name, func(t *testing.T) { golden(t, "frame-"+test.want, test.frame.String()) })
	}
}

func FuzzRead(f *testing.F) {
	good := csvFile(fewRows()...)
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(strings.ReplaceAll(good, "10.0.0.1", `"10.0.0.1"`))
	f.Add(strings.ReplaceAll(good, ",0,1", ",7,1"))
	f.Add("a,b\n1,2\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := write(t, text)
		// A small table is quick to make.
		s, err := newCounter(newIDSet(1<<10, 800)).read(t.Context(), []string{file}, func(*row) {})
		if err != nil {
			if !strings.HasPrefix(err.Error(), file+":") {
				t.Fatalf("error without file and line: %v", err)
			}
			return
		}
		events := 0
		for _, p := range s.ByPartition {
			events += p.Events
		}
		lines := strings.Count(text, "\n")
		if events != s.Events || s.Benign+s.Detected != s.Events || s.Events > max(lines-1, 0) {
			t.Fatalf("%d events in the partitions, %+v, from %d lines", events, s, lines)
		}
		if err := s.WriteText(new(strings.Builder)); err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(s); err != nil {
			t.Fatal(err)
		}
	})
}
