//go:build integration

package integration

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"soclab/internal/need"
	"soclab/pkg/event"
	"soclab/pkg/jaeger"
	"soclab/pkg/store"
	"soclab/pkg/stream"
	"soclab/pkg/tracing/spans"
)

// The tests work on one stack and one data folder, in their order, as a user
// does who goes on from where the last command stopped. They add events to the
// stack and share the group of the lab, so nobody else may classify meanwhile.
var (
	root    string // the repository
	program string // soclab
	data    string // its --data
	cluster stream.Cluster
	traces  = jaeger.New("")
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv("KAFKA_BROKERS") == "" {
			fmt.Fprintln(os.Stderr, "KAFKA_BROKERS names no stack to test, such as localhost:9092 after `docker compose up -d`")
			return 2
		}
		var err error
		if root, err = filepath.Abs("../.."); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		dir, err := os.MkdirTemp("", "soclab")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		defer os.RemoveAll(dir)
		program, data = filepath.Join(dir, "soclab"), filepath.Join(dir, "data")
		build := exec.Command("go", "build", "-o", program, "./cmd/soclab")
		build.Dir, build.Stderr = root, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build soclab:", err)
			return 2
		}
		return m.Run()
	}())
}

// soclab runs the program over the data folder and returns what it printed.
func soclab(t *testing.T, args ...string) []byte {
	t.Helper()
	return finish(t, command(t, data, args...))
}

func command(t *testing.T, data string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), program, append(args, "--data", data)...)
	cmd.Dir = root
	return cmd
}

func finish(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, stdout.String(), stderr.String())
	}
	return stdout.Bytes()
}

// eventually waits until done says so.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("gave up after 2 minutes: %s", what)
		}
	}
}

// positions of a topic, partition by partition.
func positions(t *testing.T, topic string) []stream.Position {
	t.Helper()
	p, err := cluster.Positions(t.Context(), stream.Group, topic)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sum(positions []stream.Position, of func(stream.Position) int64) (n int64) {
	for _, p := range positions {
		n += of(p)
	}
	return n
}

func records(p stream.Position) int64 { return p.End - p.First }
func lag(p stream.Position) int64     { return p.Lag() }

// place is where a record stands in events.raw.
type place struct {
	partition int
	offset    int64
}

func (p place) String() string { return fmt.Sprintf("%s/%d@%d", stream.Raw, p.partition, p.offset) }

// sources returns the places that the records of events.classified or
// events.deadletter speak of, each with its last record: both topics are
// written at least once.
func sources(t *testing.T, topic string) map[place]kafka.Message {
	t.Helper()
	found := map[place]kafka.Message{}
	for _, p := range positions(t, topic) {
		for m, err := range cluster.Messages(t.Context(), topic, p.Partition, p.First) {
			if err != nil {
				t.Fatal(err)
			}
			var at place
			for _, h := range m.Headers {
				switch h.Key {
				case stream.HeaderPartition:
					at.partition, _ = strconv.Atoi(string(h.Value))
				case stream.HeaderOffset:
					at.offset, _ = strconv.ParseInt(string(h.Value), 10, 64)
				}
			}
			found[at] = m
		}
	}
	return found
}

// complete fails the test unless the file holds every record of events.raw
// exactly once, but for the dead letters. It returns the rows by their place.
func complete(t *testing.T, file string) map[place]event.Row {
	t.Helper()
	rows := map[place]event.Row{}
	for row, err := range store.Read(file) {
		if err != nil {
			t.Fatal(err)
		}
		at := place{row.Partition, row.Offset}
		if _, twice := rows[at]; twice {
			t.Fatalf("%s: %s is stored twice", file, at)
		}
		rows[at] = row
	}
	dead := sources(t, stream.DeadLetter)
	var expected int
	for _, p := range positions(t, stream.Raw) {
		for offset := p.First; offset < p.End; offset++ {
			at := place{p.Partition, offset}
			_, stored := rows[at]
			if _, refused := dead[at]; stored == refused {
				t.Fatalf("%s: %s is stored: %v, a dead letter: %v", file, at, stored, refused)
			} else if stored {
				expected++
			}
		}
	}
	if len(rows) != expected {
		t.Fatalf("%s: %d rows, of which the topic holds %d", file, len(rows), expected)
	}
	return rows
}

func results() string { return filepath.Join(data, "classified_packets.csv") }

func TestPipeline(t *testing.T) {
	var report struct {
		Sent       int
		Classified int64
	}
	if err := json.Unmarshal(soclab(t, "run", "--events", "3000", "--seed", "7", "--json"), &report); err != nil {
		t.Fatal(err)
	}
	if report.Sent != 3000 || report.Classified < 3000 {
		t.Errorf("sent %d events, classified %d", report.Sent, report.Classified)
	}
	raw := positions(t, stream.Raw)
	if len(raw) != stream.DefaultPartitions {
		t.Errorf("%s has %d partitions", stream.Raw, len(raw))
	}
	if waiting := sum(raw, lag); waiting != 0 {
		t.Errorf("%d records wait after all was classified", waiting)
	}
	published := sources(t, stream.Classified)
	for at, row := range complete(t, results()) {
		var verdict struct {
			ID    string `json:"event.id"`
			Class string `json:"class"`
		}
		if err := json.Unmarshal(published[at].Value, &verdict); err != nil {
			t.Fatalf("verdict on %s in %s: %v", at, stream.Classified, err)
		}
		if verdict.ID != row.ID || verdict.Class != row.Verdict.Class {
			t.Fatalf("%s: the file has %s %q, %s has %s %q", at, row.ID, row.Verdict.Class, stream.Classified, verdict.ID, verdict.Class)
		}
	}
}

func TestTraceOfOneEvent(t *testing.T) {
	before := positions(t, stream.Raw)
	soclab(t, "produce", "--events", "100", "--seed", "8")
	soclab(t, "classify", "--drain")
	var traced int
	for at, row := range complete(t, results()) {
		if at.offset < before[at.partition].End || traced == 20 {
			continue
		}
		traced++
		if row.TraceID == "" {
			t.Fatalf("%s was not traced, at a rate that takes every event", at)
		}
		var trace jaeger.Trace
		eventually(t, "four spans of trace "+row.TraceID, func() bool {
			trace, _ = traces.Trace(t.Context(), row.TraceID)
			return len(trace.Spans) >= 4
		})
		requireOneWay(t, trace, row.ID)
	}
	if traced < 20 {
		t.Fatalf("found %d rows of this test", traced)
	}
}

// requireOneWay fails the test unless the trace is kafka.produce ->
// kafka.consume -> {classification, storage.write} of the event.
func requireOneWay(t *testing.T, trace jaeger.Trace, eventID string) {
	t.Helper()
	names := map[string]string{"": ""} // by span id
	for _, span := range trace.Spans {
		names[span.ID] = span.Name
	}
	parents := map[string]string{}
	for _, span := range trace.Spans {
		parents[span.Name] = names[span.ParentID]
	}
	want := map[string]string{
		spans.Produce: "", spans.Consume: spans.Produce,
		spans.Classify: spans.Consume, spans.Store: spans.Consume,
	}
	if len(trace.Spans) != len(want) || !maps.Equal(parents, want) {
		t.Fatalf("trace %s: %d spans, parents %v", trace.ID, len(trace.Spans), parents)
	}
	if trace.EventID() != eventID {
		t.Fatalf("trace %s follows event %s, the row has %s", trace.ID, trace.EventID(), eventID)
	}
}

func TestLagGrowsAndFalls(t *testing.T) {
	soclab(t, "produce", "--events", "1000", "--seed", "9")
	if waiting := sum(positions(t, stream.Raw), lag); waiting != 1000 {
		t.Errorf("%d records wait, want 1000", waiting)
	}
	slow := command(t, data, "classify", "--delay", "2ms")
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lag falls", func() bool { return sum(positions(t, stream.Raw), lag) < 1000 })
	stop(t, slow)
	soclab(t, "classify", "--drain")
	if waiting := sum(positions(t, stream.Raw), lag); waiting != 0 {
		t.Errorf("%d records wait after all was classified", waiting)
	}
	complete(t, results())
}

// stop ends a classifier as Ctrl-C does.
func stop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s, stopped: %v", cmd, err)
	}
}

func TestDeadLetters(t *testing.T) {
	before := sources(t, stream.DeadLetter)
	bad := []string{
		`no JSON`,
		`{"@timestamp":"2026-03-01T08:00:00Z","event.id":"a","destination.port":70000}`,
		`{"@timestamp":"2026-03-01T08:00:00Z","event.id":"a","event.id":"b"}`,
	}
	writer := kafka.Writer{Addr: cluster.Addr(), Topic: stream.Raw, RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond}
	for _, record := range bad {
		if err := writer.WriteMessages(t.Context(), kafka.Message{Key: []byte("10.0.0.1"), Value: []byte(record)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	soclab(t, "produce", "--events", "100", "--seed", "10")
	soclab(t, "classify", "--drain")

	var got []string
	for at, m := range sources(t, stream.DeadLetter) {
		if _, old := before[at]; old {
			continue
		}
		got = append(got, string(m.Value))
		if !slices.ContainsFunc(m.Headers, func(h kafka.Header) bool { return h.Key == stream.HeaderReason && len(h.Value) > 0 }) {
			t.Errorf("dead letter of %s has no reason", at)
		}
	}
	slices.Sort(got)
	slices.Sort(bad)
	if !slices.Equal(got, bad) {
		t.Errorf("dead letters %q, want %q", got, bad)
	}
	complete(t, results())
}

func TestKilledClassifier(t *testing.T) {
	soclab(t, "produce", "--events", "60000", "--seed", "11")
	for range 3 {
		waiting := sum(positions(t, stream.Raw), lag)
		victim := command(t, data, "classify")
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it works", func() bool { return sum(positions(t, stream.Raw), lag) < waiting || waiting == 0 })
		kill(t, victim)
	}
	soclab(t, "classify", "--drain")
	complete(t, results())
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was killed
}

func TestThreeClassifiersOneFile(t *testing.T) {
	soclab(t, "produce", "--events", "60000", "--seed", "12")
	var workers []*exec.Cmd
	for range 3 {
		worker := command(t, data, "classify")
		if err := worker.Start(); err != nil {
			t.Fatal(err)
		}
		workers = append(workers, worker)
	}
	waiting := sum(positions(t, stream.Raw), lag)
	eventually(t, "they work", func() bool { return sum(positions(t, stream.Raw), lag) < waiting })
	kill(t, workers[0])
	workers[0] = command(t, data, "classify")
	if err := workers[0].Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is classified", func() bool { return sum(positions(t, stream.Raw), lag) == 0 })
	for _, worker := range workers {
		stop(t, worker)
	}
	complete(t, results())
}

// TestUndisturbedRun compares the rows that the tests above have made, with
// kills and shared partitions, with those of one classifier that reads the
// topic from its begin.
func TestUndisturbedRun(t *testing.T) {
	elsewhere := t.TempDir()
	again := command(t, elsewhere, "classify", "--drain", "--publish=false")
	again.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	finish(t, again)
	want := complete(t, filepath.Join(elsewhere, "classified_packets.csv"))
	got := complete(t, results())
	for at, row := range got {
		if a, b := text(row), text(want[at]); a != b {
			t.Fatalf("%s: %s\nundisturbed: %s", at, a, b)
		}
	}
}

// text is a row as far as it is a function of its partition's log.
func text(row event.Row) string {
	row.Ingested, row.TraceID = time.Time{}, ""
	var rows event.RowEncoder
	return string(rows.AppendCSV(nil, &row))
}

// compose runs docker compose in the repository.
func compose(t *testing.T, args ...string) string {
	t.Helper()
	return string(finish(t, dockerCompose(t, args...)))
}

func dockerCompose(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "docker", append([]string{"compose"}, args...)...)
	cmd.Dir = root
	return cmd
}

// needCompose is for tests that stop and start parts of the compose stack of
// this repository.
func needCompose(t *testing.T) {
	t.Helper()
	if running, err := dockerCompose(t, "ps", "--quiet", "kafka").Output(); err == nil && len(bytes.TrimSpace(running)) > 0 {
		return
	}
	need.Missing(t, "the stack at KAFKA_BROKERS is not this repository's compose stack (docker compose up -d), whose parts this test stops")
}

func TestRestartLosesNothing(t *testing.T) {
	needCompose(t)
	raw, classified := positions(t, stream.Raw), positions(t, stream.Classified)
	rows := complete(t, results())
	var example event.Row
	for _, row := range rows {
		if row.TraceID > example.TraceID {
			example = row
		}
	}
	spans, err := traces.Trace(t.Context(), example.TraceID)
	if err != nil {
		t.Fatal(err)
	}

	compose(t, "kill", "kafka")     // SIGKILL: what was acknowledged is in the log
	compose(t, "restart", "jaeger") // its storage is closed and opened
	compose(t, "up", "--detach", "--no-build", "--no-recreate", "--wait", "kafka", "jaeger")

	if after := positions(t, stream.Raw); !slices.Equal(after, raw) {
		t.Errorf("%s was %+v, is %+v", stream.Raw, raw, after)
	}
	if after := positions(t, stream.Classified); !slices.Equal(after, classified) {
		t.Errorf("%s was %+v, is %+v", stream.Classified, classified, after)
	}
	again, err := traces.Trace(t.Context(), example.TraceID)
	if err != nil || len(again.Spans) != len(spans.Spans) {
		t.Errorf("trace %s had %d spans, has %d: %v", example.TraceID, len(spans.Spans), len(again.Spans), err)
	}
	soclab(t, "run", "--events", "500", "--seed", "13")
	if n := len(complete(t, results())); n != len(rows)+500 {
		t.Errorf("%d rows after the restart and 500 more events, there were %d", n, len(rows))
	}
}

// TestWorkersInContainers lets three containers write one file in the
// repository's data folder, and kills one of them at work.
func TestWorkersInContainers(t *testing.T) {
	needCompose(t)
	defer func() { // even if the test was stopped
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "docker", "compose", "up", "--detach", "--no-build", "--no-recreate", "--scale", "classifier=0", "classifier")
		cmd.Dir, cmd.Stderr = root, io.Discard
		if err := cmd.Run(); err != nil {
			t.Errorf("%s: %v", cmd, err)
		}
	}()
	scale := func() {
		compose(t, "up", "--detach", "--no-build", "--no-recreate", "--scale", "classifier=3", "classifier")
	}
	scale()
	eventually(t, "three workers share the partitions", func() bool {
		members, err := cluster.Members(t.Context(), stream.Group, stream.Raw)
		return err == nil && len(members) == 3
	})
	soclab(t, "produce", "--events", "60000", "--seed", "14")
	waiting := sum(positions(t, stream.Raw), lag)
	eventually(t, "they work", func() bool { return sum(positions(t, stream.Raw), lag) < max(waiting, 1) })
	containers := strings.Fields(compose(t, "ps", "--quiet", "classifier"))
	finish(t, exec.CommandContext(t.Context(), "docker", "kill", cmp.Or(containers...)))
	scale()
	eventually(t, "all is classified", func() bool {
		p := positions(t, stream.Raw)
		return sum(p, lag) == 0 && sum(p, func(p stream.Position) int64 { return p.Committed }) == sum(p, func(p stream.Position) int64 { return p.End })
	})
	rows := complete(t, filepath.Join(root, "data", "classified_packets.csv"))
	if n := sum(positions(t, stream.Raw), records) - int64(len(sources(t, stream.DeadLetter))); int64(len(rows)) != n {
		t.Errorf("%d rows of %d events", len(rows), n)
	}
}
