package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"soclab/internal/message"
	"soclab/internal/need"
	"soclab/internal/stack"
	"soclab/pkg/event"
	"soclab/pkg/jaeger"
	"soclab/pkg/store"
	"soclab/pkg/stream"
	"soclab/pkg/tracing/spans"
)

// The tests run the command as a user does: each call is a process of its own,
// namely this test binary, which TestMain turns into soclab.
func TestMain(m *testing.M) {
	if os.Getenv("SOCLAB_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// bench is a folder with a data folder and a home of its own.
type bench struct {
	*testing.T
	dir string
}

func newBench(t *testing.T) *bench { return &bench{t, t.TempDir()} }

func (b *bench) data() string       { return filepath.Join(b.dir, "data") }
func (b *bench) home() string       { return filepath.Join(b.dir, "home") }
func (b *bench) classified() string { return filepath.Join(b.data(), classifiedFile) }

func (b *bench) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	// However busy the machine is: no span is to be dropped.
	cmd.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_TIMEOUT=120000", "SOCLAB_TEST_MAIN=1", "SOCLAB_DATA="+b.data(), "SOCLAB_HOME="+b.home(), "KAFKA_BROKERS=", "SOCLAB_RULES=")
	return cmd
}

// soclab runs a command that must succeed and returns its standard output.
func (b *bench) soclab(args ...string) string {
	b.Helper()
	var out, messages bytes.Buffer
	cmd := b.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &messages
	if err := cmd.Run(); err != nil {
		b.Fatalf("soclab %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), messages.String())
	}
	return out.String()
}

// refused runs a command that must fail with the exit status and the message.
func (b *bench) refused(status int, message string, args ...string) {
	b.Helper()
	cmd := b.command(args...)
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != status || !strings.Contains(string(out), message) {
		b.Errorf("soclab %s: exit status %d, %s\nwant %d and %q", strings.Join(args, " "), got, out, status, message)
	}
}

// rows reads the results and fails on a row that is torn or stands twice.
func (b *bench) rows() []event.Row {
	b.Helper()
	var rows []event.Row
	seen := map[[2]int64]bool{}
	for row, err := range store.Read(b.classified()) {
		if err != nil {
			b.Fatal(err)
		}
		place := [2]int64{int64(row.Partition), row.Offset}
		if seen[place] {
			b.Fatalf("partition %d offset %d stands twice", row.Partition, row.Offset)
		}
		seen[place] = true
		rows = append(rows, row)
	}
	return rows
}

// stack runs the embedded stack until the test ends.
func (b *bench) stack() *stack.Stack {
	b.Helper()
	running, err := stack.Start(b.Context(), stack.Options{Home: b.home(), FreePorts: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		running.Close(ctx)
	})
	return running
}

func TestRunAgreesWithItsFiles(t *testing.T) {
	b := newBench(t)
	plots := filepath.Join(b.dir, "plots")
	var r report
	if err := json.Unmarshal([]byte(b.soclab("run", "--events", "3000", "--seed", "7", "--json", "--plots", plots)), &r); err != nil {
		t.Fatal(err)
	}
	rows := b.rows()
	classes := map[string]int{}
	for _, row := range rows {
		classes[row.Verdict.Class]++
	}
	if len(rows) != 3000 || r.Sent != 3000 || r.Classified != 3000 || r.Statistics.Events != 3000 {
		t.Errorf("%d rows, %d sent, %d classified, %d counted", len(rows), r.Sent, r.Classified, r.Statistics.Events)
	}
	for _, class := range r.Statistics.ByClass {
		if classes[class.Class] != class.Events {
			t.Errorf("%s: %d events, the file has %d", class.Class, class.Events, classes[class.Class])
		}
	}
	if r.Scores == nil || r.Scores.Overall.Found == 0 {
		t.Errorf("scores %+v", r.Scores)
	}
	if pictures, _ := filepath.Glob(filepath.Join(plots, "*.png")); len(pictures) < 5 {
		t.Errorf("plots %v", pictures)
	}
	// A second run appends; the same seed gives events that are known.
	b.soclab("run", "--events", "2000", "--seed", "8")
	if n := len(b.rows()); n != 5000 {
		t.Errorf("%d rows after a second run", n)
	}
	if text := b.soclab("stats"); !strings.Contains(text, "5,000 events") {
		t.Error(text)
	}
}

func TestLogs(t *testing.T) {
	for _, test := range []struct {
		file   string
		events int
		check  func(event.Row) bool
		found  int // at least
	}{
		{"port-scan.log", 210, func(r event.Row) bool {
			return r.Verdict.Technique.ID == "T1046" && r.Source.IP.String() == "10.20.0.11"
		}, 33},
		{"beacon.log", 180, func(r event.Row) bool {
			return r.Verdict.Tactic.ID == "TA0011" && r.Destination.IP.String() == "203.0.113.197"
		}, 72},
		{"zeek-portscan/conn.log", 4504, func(r event.Row) bool {
			return r.Verdict.Technique.ID == "T1046" && r.Source.IP.String() == "172.16.1.11"
		}, 1000},
		{"zeek-c2/labeled-conn.log", 992, func(r event.Row) bool {
			return r.Verdict.Tactic.ID == "TA0011" && r.Destination.IP.String() == "41.108.179.197"
		}, 200},
	} {
		t.Run(test.file, func(t *testing.T) {
			path := filepath.Join("../../testdata/zeek", test.file)
			if strings.Contains(test.file, "/") {
				path = need.RealLog(t, test.file)
			}
			b := newBench(t)
			b.soclab("run", "--input", path)
			rows, found := b.rows(), 0
			for _, row := range rows {
				if test.check(row) {
					found++
				}
			}
			if len(rows) != test.events || found < test.found {
				t.Errorf("%d rows, %d found; want %d and at least %d", len(rows), found, test.events, test.found)
			}
		})
	}
}

// size is how large a file is, 0 where it is not there yet.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Runs that are killed while they produce or classify leave nothing out and
// nothing twice, once a later run ends.
func TestKilledRuns(t *testing.T) {
	b := newBench(t)
	for i, grows := range []struct {
		file string
		by   int64
	}{{rawFile, 4 << 20}, {classifiedFile, 1 << 20}, {classifiedFile, 16 << 20}} {
		path := filepath.Join(b.data(), grows.file)
		before := size(path)
		cmd := b.command("run", "--events", "300000", "--seed", fmt.Sprint(i))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		await(t, "growth of "+grows.file, func() bool { return size(path) >= before+grows.by })
		cmd.Process.Kill()
		cmd.Wait()
		if cmd.ProcessState.Exited() {
			t.Fatalf("the run ended before it was killed: %s", cmd.ProcessState)
		}
	}
	b.soclab("run", "--events", "1000", "--seed", "9")
	rows := b.rows()
	var positions []stream.Position
	if err := json.Unmarshal([]byte(b.soclab("topics", "--json")), &positions); err != nil {
		t.Fatal(err)
	}
	var reached int64
	for _, p := range positions {
		if p.Topic == stream.Raw {
			reached += p.End
			if p.Lag() != 0 {
				t.Errorf("lag %d: %+v", p.Lag(), p)
			}
		}
	}
	if int64(len(rows)) != reached || reached < 1000 {
		t.Errorf("%d rows of %d records", len(rows), reached)
	}
	t.Logf("%d records of four runs, each in the file once", reached)
}

// text is a row as far as it is a function of its partition's log.
func text(row event.Row) string {
	row.Ingested, row.TraceID = time.Time{}, ""
	var rows event.RowEncoder
	return string(rows.AppendCSV(nil, &row))
}

// Three classifiers share one file; one is killed and started again when the
// correlations have something to remember. The rows are those of an undisturbed
// classifier.
func TestThreeClassifiersOneKilled(t *testing.T) {
	const events = 300_000
	b := newBench(t)
	b.stack()
	b.soclab("produce", "--events", fmt.Sprint(events), "--seed", "5")
	start := func() *exec.Cmd {
		cmd := b.command("classify", "--drain")
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	workers := []*exec.Cmd{start(), start(), start()}
	await(t, "12 MiB of results", func() bool { return size(b.classified()) >= 12<<20 })
	workers[0].Process.Kill()
	workers[0].Wait()
	if status := workers[0].ProcessState; status.Exited() {
		t.Fatalf("the classifier ended before it was killed: %s", status)
	}
	detected := 0
	for _, row := range b.rows() {
		if row.Verdict.Class != event.Benign {
			detected++
		}
	}
	if detected == 0 {
		t.Fatal("no detections before the kill: there was nothing to lose")
	}
	workers[0] = start()
	for _, w := range workers {
		if err := w.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	disturbed := b.rows()
	if len(disturbed) != events {
		t.Fatalf("%d rows", len(disturbed))
	}
	if err := os.Rename(b.classified(), b.classified()+".disturbed"); err != nil {
		t.Fatal(err)
	}
	b.soclab("classify", "--drain") // the file is gone: it is made again from Kafka
	want := map[string]bool{}
	for _, row := range b.rows() {
		want[text(row)] = true
	}
	for _, row := range disturbed {
		if !want[text(row)] {
			t.Fatalf("an undisturbed run has no row %s", text(row))
		}
	}
	if len(want) != len(disturbed) {
		t.Errorf("%d rows undisturbed, %d disturbed", len(want), len(disturbed))
	}
}

func TestTraceOfEveryEvent(t *testing.T) {
	b := newBench(t)
	b.soclab("run", "--events", "2000", "--seed", "3")
	running := b.stack()
	traces := jaeger.New(running.Jaeger)
	rows := b.rows()
	for i, row := range rows {
		if row.TraceID == "" {
			t.Fatalf("%s has no trace", row.ID)
		}
		if i%50 != 0 {
			continue
		}
		trace, err := traces.Trace(t.Context(), row.TraceID)
		if err != nil {
			t.Fatal(err)
		}
		var tree []string
		for _, span := range trace.Tree() {
			want := map[string]string{string(spans.EventID): row.ID, string(spans.Topic): stream.Raw}
			switch span.Name {
			case spans.Produce:
				want[string(spans.MessageKey)] = row.Source.IP.String()
			case spans.Consume:
				want[string(spans.Partition)], want[string(spans.Offset)] = fmt.Sprint(row.Partition), fmt.Sprint(row.Offset)
				want[string(spans.Group)] = stream.Group
			default:
				want = nil
			}
			for name, value := range want {
				if span.Attributes[name] != value {
					t.Errorf("%s of %s: %s is %q, want %q", span.Name, row.ID, name, span.Attributes[name], value)
				}
			}
			tree = append(tree, fmt.Sprint(span.Depth, " ", span.Name, " ", span.Kind))
		}
		slices.Sort(tree)
		want := []string{"0 " + spans.Produce + " producer", "1 " + spans.Consume + " consumer", "2 " + spans.Classify + " internal", "2 " + spans.Store + " internal"}
		if !slices.Equal(tree, want) || trace.EventID() != row.ID {
			t.Fatalf("trace of %s: event %s, %v", row.ID, trace.EventID(), tree)
		}
	}
	row := rows[len(rows)/2]
	for _, id := range []string{row.ID, row.TraceID} {
		if out := b.soclab("trace", id); !strings.Contains(out, row.TraceID) || !strings.Contains(out, "└─ kafka.consume") {
			t.Errorf("soclab trace %s: %s", id, out)
		}
	}
	var found jaeger.Trace
	if out := b.soclab("trace", "--json", row.ID); json.Unmarshal([]byte(out), &found) != nil || found.ID != row.TraceID || !strings.Contains(out, `"parent_id"`) {
		t.Errorf("soclab trace --json: %s", out)
	}
	b.refused(2, "has partitions 0 to 2", "topics", "peek", stream.Raw, "--partition", "3")
	b.refused(1, "no event or trace in", "trace", "nonsense")
	response, err := http.Get(running.Jaeger + "/api/traces/" + row.TraceID)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); !strings.Contains(string(body), `"spanID"`) {
		t.Errorf("query API: %s", body)
	}
}

func TestBrokenRecords(t *testing.T) {
	b := newBench(t)
	running := b.stack()
	b.soclab("produce", "--events", "100", "--seed", "1")
	broken := map[string]string{ // value: reason
		`not JSON`: "want a JSON object",
		`{"@timestamp":"2026-03-01T12:00:00Z","event.id":"X","source.port":70000}`: "from 0 to 65535",
		`{"@timestamp":"2026-03-01T12:00:00Z","event.id":"X","event.id":"Y"}`:      "each key once",
	}
	writer := &kafka.Writer{Addr: kafka.TCP(running.Brokers...), Topic: stream.Raw, RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond}
	defer writer.Close()
	for value := range broken {
		if err := writer.WriteMessages(t.Context(), kafka.Message{Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
	}
	b.soclab("classify", "--drain")
	if n := len(b.rows()); n != 100 {
		t.Errorf("%d rows", n)
	}
	var letters []message.Message
	if err := json.Unmarshal([]byte(b.soclab("topics", "peek", stream.DeadLetter, "--count", "10", "--json")), &letters); err != nil {
		t.Fatal(err)
	}
	for _, letter := range letters {
		reason := ""
		for _, h := range letter.Headers {
			if h.Key == stream.HeaderReason {
				reason = h.Value
			}
		}
		if want, known := broken[letter.Value]; !known || !strings.Contains(reason, want) {
			t.Errorf("%s: %s", letter.Value, reason)
		}
		delete(broken, letter.Value)
	}
	if len(broken) > 0 {
		t.Errorf("no dead letters for %v", slices.Collect(maps.Keys(broken)))
	}
	if err := writer.WriteMessages(t.Context(), kafka.Message{Value: []byte("broken, too")}); err != nil {
		t.Fatal(err)
	}
	run := members(t, b.soclab("run", "--events", "10", "--json"))
	if string(run["dead_letters"]) != "1" || string(run["classified"]) != "10" {
		t.Errorf("%s events, %s dead letters, want 10 and 1", run["classified"], run["dead_letters"])
	}
}

func TestInterruptLosesNothing(t *testing.T) {
	b := newBench(t)
	cmd := b.command("run", "--events", "200000", "--seed", "4")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "1 MiB of results", func() bool { return size(b.classified()) >= 1<<20 })
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 130 {
		t.Errorf("exit status %d, want 130", status)
	}
	b.soclab("classify", "--drain")
	var positions []stream.Position
	if err := json.Unmarshal([]byte(b.soclab("topics", "--json")), &positions); err != nil {
		t.Fatal(err)
	}
	reached := int64(0)
	for _, p := range positions {
		if p.Topic == stream.Raw {
			reached += p.End
		}
	}
	if n := int64(len(b.rows())); n != reached {
		t.Errorf("%d rows of %d records", n, reached)
	}
}

func TestReset(t *testing.T) {
	b := newBench(t)
	b.soclab("run", "--events", "500")
	traceID := b.rows()[0].TraceID
	b.refused(2, "give --yes", "reset")
	if out := b.soclab("reset", "--yes"); !strings.Contains(out, "Topics deleted.") || !strings.Contains(out, "Traces deleted.") {
		t.Error(out)
	}
	if aside, _ := filepath.Glob(filepath.Join(b.data(), "*.*Z.csv")); len(aside) != 3 {
		t.Errorf("put aside: %v", aside)
	}
	if ends := b.ends(); len(ends) != 0 {
		t.Errorf("topics are left: %v", ends)
	}
	b.refused(1, "trace", "trace", traceID)
	b.soclab("run", "--events", "300")
	if n := len(b.rows()); n != 300 {
		t.Errorf("%d rows after the reset", n)
	}
}

func TestUsageErrors(t *testing.T) {
	b := newBench(t)
	for _, test := range []struct {
		status  int
		message string
		args    []string
	}{
		{2, "unknown command", []string{"rum"}},
		{2, "unknown flag", []string{"run", "--evnts", "5"}},
		{2, "--start", []string{"run", "--start", "yesterday"}},
		{2, "does not go with --input", []string{"run", "--input", "x", "--seed", "5"}},
		{2, "does not go with --input", []string{"run", "--input", "x", "--events", "5"}},
		{2, "does not go with --input", []string{"run", "--input", "x", "--start", "2026-03-01T08:00:00Z"}},
		{2, "does not go with --input", []string{"produce", "--input", "x", "--attack-share", "0.1"}},
		{2, "want networks", []string{"rules", "list", "--home-net", "home"}},
		{2, "0 for no limit", []string{"produce", "--rate", "-1"}},
		{2, "--delay", []string{"classify", "--drain", "--delay", "-1s"}},
		{2, "accepts 1 arg", []string{"trace"}},
		{2, "See `soclab topics peek --help`", []string{"topics", "peek"}},
		{2, "want 0 to 65535", []string{"up", "--port", "65536"}},
		{2, "events", []string{"run", "--events", "0"}},
		{1, "no such file", []string{"run", "--input", "missing.log"}},
		{1, "make it with `soclab run`", []string{"stats"}},
		{1, "no such file", []string{"rules", "check", "missing"}},
		{1, "no Kafka answers at 127.0.0.1:1", []string{"topics", "--brokers", "127.0.0.1:1"}},
	} {
		b.refused(test.status, test.message, test.args...)
	}
}

func TestRules(t *testing.T) {
	b := newBench(t)
	b.soclab("produce", "--events", "2000", "--seed", "2")
	dir := filepath.Join(b.dir, "rules")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rule := write("dns.yml", `title: Any DNS Query
id: 5f8b1f1a-27c2-4a3c-9a39-8a3ad1d2a111
status: test
logsource: {category: dns}
detection:
  selection: {destination.port: 53}
  condition: selection
tags: [attack.command-and-control, attack.t1071.004]
level: critical
`)
	if out := b.soclab("rules", "check", dir); !strings.Contains(out, "Usable: 1, refused: 0") {
		t.Error(out)
	}
	if out := b.soclab("rules", "test", rule, filepath.Join(b.data(), rawFile)); !strings.Contains(out, "destination.port = 53") {
		t.Error(out)
	}
	if out := b.soclab("rules", "test", rule, filepath.Join(b.data(), rawFile), "--json"); !strings.Contains(out, `"field": "destination.port"`) {
		t.Error(out)
	}
	if out := b.soclab("rules", "list", "--rules", dir); !strings.Contains(out, "Any DNS Query") {
		t.Error(out)
	}
	b.soclab("classify", "--drain", "--rules", dir)
	dns := 0
	for _, row := range b.rows() {
		if row.Verdict.Class == "Any DNS Query" {
			dns++
		}
	}
	if dns == 0 {
		t.Error("the user's rule won nowhere")
	}
	write("bad.yml", "title: Bad\nlogsource: {category: dns}\ndetection:\n  selection: {nonsense: 1}\n  condition: selection\n")
	b.refused(1, "bad.yml:", "rules", "check", dir)
	b.refused(1, "bad.yml:", "run", "--rules", dir)
	if sent := b.ends()[stream.Raw]; sent != 2000 {
		t.Errorf("%d events in the topic: a run whose rules are refused has sent some", sent)
	}
}
