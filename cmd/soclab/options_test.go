package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"soclab/internal/message"
	"soclab/pkg/event"
	"soclab/pkg/store"
	"soclab/pkg/stream"
	"soclab/pkg/traffic"
)

// members are the names and values of a JSON object that a command printed.
func members(t *testing.T, out string) map[string]json.RawMessage {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &object); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return object
}

// ends are how many records the topics have held, by name, as JSON tells.
func (b *bench) ends() map[string]int64 {
	b.Helper()
	var positions []stream.Position
	if err := json.Unmarshal([]byte(b.soclab("topics", "--json")), &positions); err != nil {
		b.Fatal(err)
	}
	ends := map[string]int64{}
	for _, p := range positions {
		ends[p.Topic] += p.End
	}
	return ends
}

// The options of run reach what they are for, and scripts find the results
// under names that do not change.
func TestRunOptions(t *testing.T) {
	b := newBench(t)
	out := b.soclab("run", "--events", "700", "--seed", "11", "--start", "2026-03-01T08:00:00Z", "--attack-share", "0.4", "--publish=false", "--json")
	run := members(t, out)
	names := slices.Sorted(maps.Keys(run))
	if want := []string{"classified", "dead_letters", "files", "scores", "sent", "source", "statistics", "trace_id"}; !slices.Equal(names, want) {
		t.Errorf("run --json has %q, want %q", names, want)
	}
	for name, want := range map[string]string{"sent": "700", "classified": "700", "dead_letters": "0",
		"source": `"generated: --events 700 --seed 11 --start 2026-03-01T08:00:00Z --attack-share 0.4"`} {
		if string(run[name]) != want {
			t.Errorf("%s is %s, want %s", name, run[name], want)
		}
	}
	if ends := b.ends(); ends[stream.Raw] != 700 || ends[stream.Classified] != 0 {
		t.Errorf("records: %v, want 700 raw and none classified", ends)
	}
	topics := b.soclab("topics", "--json")
	var positions []map[string]json.RawMessage
	if err := json.Unmarshal([]byte(topics), &positions); err != nil {
		t.Fatal(err)
	}
	for _, p := range positions {
		if got := slices.Sorted(maps.Keys(p)); !slices.Equal(got, []string{"committed", "end", "first", "partition", "topic"}) {
			t.Errorf("topics --json has %q", got)
		}
	}
	// The seed and the start make the same events again.
	generator, err := traffic.NewGenerator(traffic.Options{Seed: 11, Start: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), Events: 700, AttackShare: 0.4})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]event.Row{}
	var example event.Row
	for _, row := range b.rows() {
		rows[row.ID] = row
		if string(run["trace_id"]) == `"`+row.TraceID+`"` {
			example = row
		}
	}
	for range 700 {
		e, err := generator.Next()
		if err != nil {
			t.Fatal(err)
		}
		if row, ok := rows[e.ID]; !ok || row.Event != *e {
			t.Fatalf("event %+v has the row %+v", e, row)
		}
	}
	if example.Record == nil || example.Verdict.Class == event.Benign {
		t.Errorf("trace %s is not of a detection: %+v", run["trace_id"], example)
	}

	plots := filepath.Join(b.dir, "plots")
	other := filepath.Join(b.dir, "other.csv") // of another host, with the first 100 rows
	lines := strings.SplitAfter(fileText(t, b.classified()), "\n")
	if err := os.WriteFile(other, []byte(strings.Join(lines[:101], "")), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		files  []string
		events int
	}{{nil, 700}, {[]string{other}, 100}, {[]string{other, b.classified()}, 700}} {
		stats := members(t, b.soclab(append([]string{"stats", "--json", "--plots", plots}, test.files...)...))
		var summary struct{ Events int }
		var pictures []string
		if err := errors.Join(json.Unmarshal(stats["statistics"], &summary), json.Unmarshal(stats["plots"], &pictures)); err != nil {
			t.Fatal(err)
		}
		if summary.Events != test.events || len(pictures) == 0 || string(stats["scores"]) == "null" || stats["scores"] == nil {
			t.Errorf("statistics of %q: %d events, pictures %q, scores %.40s; want %d events", test.files, summary.Events, pictures, stats["scores"], test.events)
		}
	}
}

func fileText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Events of a file are recorded, but not in the file itself; and nothing is said
// of a truth that nobody knows.
func TestInputIsRecordedOnce(t *testing.T) {
	b := newBench(t)
	b.soclab("produce", "--input", "../../testdata/zeek/port-scan.log")
	raw := filepath.Join(b.data(), rawFile)
	recorded := fileText(t, raw)
	if n := strings.Count(recorded, "\n"); n != 211 {
		t.Errorf("%d lines are recorded, want a header and 210", n)
	}
	b.soclab("produce", "--input", raw)
	if fileText(t, raw) != recorded {
		t.Error("raw_packets.csv was recorded in itself")
	}
	if _, err := os.Stat(filepath.Join(b.data(), truthFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a truth.csv: %v", err)
	}
	if ends := b.ends(); ends[stream.Raw] != 420 {
		t.Errorf("records: %v, want 420", ends)
	}
	broken := filepath.Join(b.dir, "broken.csv")
	if err := os.WriteFile(broken, []byte(recorded+"a broken row\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.refused(1, "broken.csv:212: row of 1 cells", "produce", "--input", broken)
	if ends := b.ends(); ends[stream.Raw] != 420 {
		t.Errorf("records: %v: a part of a broken file was sent", ends)
	}
	if fileText(t, raw) != recorded {
		t.Error("events of a broken file were recorded and not sent")
	}
}

// limited is a source that ends with an error, or with io.EOF.
type limited struct {
	source
	left int
	end  error
}

func (l *limited) Next() (*event.Event, error) {
	if l.left--; l.left < 0 {
		return nil, l.end
	}
	return l.source.Next()
}

func TestHowSourcesEnd(t *testing.T) {
	recorder, err := store.NewRecorder("", "")
	if err != nil {
		t.Fatal(err)
	}
	damaged := errors.New("line 3: damaged")
	for _, test := range []struct {
		events, rate int
		end          error
		sent         int
	}{
		{0, 0, io.EOF, 0}, {3, 0, io.EOF, 3}, {3, 1000, io.EOF, 3}, {10_000, 0, io.EOF, 10_000},
		{3, 0, damaged, 0}, {10_001, 0, damaged, 10_000},
	} {
		received := 0
		sent, err := sendAll(t.Context(), &limited{generator(t, 20_000), test.events, test.end}, recorder, test.rate, func(_ context.Context, events ...event.Event) error {
			received += len(events)
			return nil
		})
		if failed := test.end != io.EOF; sent != test.sent || received != sent || errors.Is(err, damaged) != failed || (err != nil) != failed {
			t.Errorf("%d events and then %v: %d are sent, %d said to be (%v), want %d", test.events, test.end, received, sent, err, test.sent)
		}
	}
}

// A slow classifier is seen at work: it takes no more than a second's work at a
// time.
func TestClassifyIsSlow(t *testing.T) {
	b := newBench(t)
	b.stack()
	b.soclab("produce", "--events", "50")
	slow := b.command("classify", "--delay", "1h")
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	defer slow.Process.Kill()
	await(t, "the first row", func() bool { _, err := os.Stat(b.classified()); return err == nil && len(b.rows()) > 0 })
	b.soclab("produce", "--events", "5") // time enough for a fast one
	if n := len(b.rows()); n != 1 {
		t.Errorf("%d rows, want the first alone", n)
	}
}

// Spans that nobody takes are told of, and stop nothing.
func TestDroppedSpansAreTold(t *testing.T) {
	b := newBench(t)
	running := b.stack()
	var messages bytes.Buffer
	for _, args := range [][]string{{"produce", "--events", "200", "--attack-share", "0.5"}, {"classify", "--drain"}} {
		messages.Reset()
		cmd := b.command(append(args, "--brokers", running.Brokers[0])...)
		cmd.Env, cmd.Stderr = append(cmd.Env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"), &messages
		if err := cmd.Run(); err != nil || !strings.Contains(messages.String(), "Traces: 0 spans exported, ") {
			t.Errorf("%v: %v, %s", args, err, messages.String())
		}
	}
	detected := 0
	for _, row := range b.rows() {
		if row.Verdict.Class != event.Benign {
			detected++
		}
	}
	if want := fmt.Sprintf("Classified 200 events, %d of them detected; 0 dead letters.", detected); detected == 0 || !strings.Contains(messages.String(), want) {
		t.Errorf("%s\nwant %s", messages.String(), want)
	}
}

// What is at home is what --home-net says. A user's rules are those of --rules,
// else those in the data folder.
func TestHomeNet(t *testing.T) {
	for _, given := range []bool{true, false} {
		b := newBench(t)
		rules, args := filepath.Join(b.data(), "rules"), []string{"--home-net", "203.0.113.0/24"}
		if given {
			rules = filepath.Join(b.dir, "mine")
			args = append(args, "--rules", rules)
		}
		testHomeNet(b, rules, args)
	}
}

func testHomeNet(b *bench, rules string, args []string) {
	log := filepath.Join(b.dir, "raw.csv")
	const rule = `title: From Home
logsource: {category: firewall}
detection:
  selection: {source.ip|cidr|expand: '%home_net%'}
  condition: selection
level: critical
`
	const rows = "@timestamp,event.id,source.ip\n2026-03-01T12:00:00Z,a,203.0.113.7\n2026-03-01T12:00:01Z,b,10.0.0.1\n"
	if err := errors.Join(os.MkdirAll(rules, 0o755), os.WriteFile(filepath.Join(rules, "home.yml"), []byte(rule), 0o644), os.WriteFile(log, []byte(rows), 0o644)); err != nil {
		b.Fatal(err)
	}
	b.soclab(append([]string{"run", "--input", log}, args...)...)
	classes := map[string]string{}
	for _, row := range b.rows() {
		classes[row.ID] = row.Verdict.Class
	}
	if want := map[string]string{"a": "From Home", "b": event.Benign}; !maps.Equal(classes, want) {
		b.Errorf("classes %v, want %v", classes, want)
	}
}

// An event without a trace is told from one that is not there; and a run that
// cannot draw its plots fails, although all else is done.
func TestRunFails(t *testing.T) {
	b := newBench(t)
	blocked := filepath.Join(b.dir, "file")
	if err := os.WriteFile(blocked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_SDK_DISABLED", "true")
	b.refused(1, blocked, "run", "--events", "20", "--plots", blocked)
	rows := b.rows()
	if len(rows) != 20 || rows[0].TraceID != "" {
		t.Fatalf("%d rows, the first with trace %q", len(rows), rows[0].TraceID)
	}
	b.refused(1, "the event was not sampled", "trace", rows[0].ID)
}

func TestPeek(t *testing.T) {
	b := newBench(t)
	b.stack()
	b.soclab("produce", "--events", "300")
	peek := func(args ...string) (places []string) {
		var messages []message.Message
		if err := json.Unmarshal([]byte(b.soclab(append([]string{"topics", "peek", stream.Raw, "--json"}, args...)...)), &messages); err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			places = append(places, fmt.Sprintf("%d@%d", m.Partition, m.Offset))
		}
		return places
	}
	var positions []stream.Position
	if err := json.Unmarshal([]byte(b.soclab("topics", "--json")), &positions); err != nil {
		t.Fatal(err)
	}
	var newest []string
	for _, p := range positions {
		if p.Topic == stream.Raw {
			newest = append(newest, fmt.Sprintf("%d@%d", p.Partition, p.End-1))
		}
	}
	if got := peek(); !slices.Equal(got, newest) {
		t.Errorf("the newest are %q, want %q", got, newest)
	}
	if got, want := peek("--partition", "1", "--offset", "2", "--count", "3"), []string{"1@2", "1@3", "1@4"}; !slices.Equal(got, want) {
		t.Errorf("messages %q, want %q", got, want)
	}
}

// A classifier that cannot store ends, and says so in its exit status.
func TestClassifyFails(t *testing.T) {
	b := newBench(t)
	b.stack()
	b.soclab("produce", "--events", "50")
	classifier := b.command("classify")
	var messages bytes.Buffer
	classifier.Stderr = &messages
	if err := classifier.Start(); err != nil {
		t.Fatal(err)
	}
	defer classifier.Process.Kill()
	await(t, "the first rows", func() bool { _, err := os.Stat(b.classified()); return err == nil && len(b.rows()) == 50 })
	if err := os.Remove(b.classified()); err != nil {
		t.Fatal(err)
	}
	b.soclab("produce", "--events", "50")
	classifier.Wait()
	if status := classifier.ProcessState.ExitCode(); status != 1 || !strings.Contains(messages.String(), "start again to rebuild it") {
		t.Errorf("exit status %d, %s", status, messages.String())
	}
	b.soclab("classify", "--drain")
	if n := len(b.rows()); n != 100 {
		t.Errorf("%d rows after a new start, want 100", n)
	}
}
