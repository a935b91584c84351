package jaeger_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"soclab/internal/collector"
	"soclab/pkg/jaeger"
	"soclab/pkg/tracing/spans"
)

var update = flag.Bool("update", false, "write the golden files anew")

// ids gives spans the ids 1, 2, 3, ... in the trace with the id in its name.
type ids struct {
	trace trace.TraceID
	last  atomic.Uint64
}

func (g *ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	return g.trace, g.NewSpanID(ctx, g.trace)
}

func (g *ids) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], g.last.Add(1))
	return id
}

// send exports the trace of one event as the pipeline makes it, beginning at
// start, to an OTLP receiver.
func send(t *testing.T, otlp, traceID, eventID string, start time.Time) {
	t.Helper()
	id, err := trace.TraceIDFromHex(traceID)
	if err != nil {
		t.Fatal(err)
	}
	generator := &ids{trace: id}
	tracer := func(service string) trace.Tracer {
		exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(otlp+"/v1/traces"))
		if err != nil {
			t.Fatal(err)
		}
		provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithIDGenerator(generator),
			sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service))))
		t.Cleanup(func() { provider.Shutdown(context.Background()) })
		return provider.Tracer("test")
	}
	producer, classifier := tracer("producer"), tracer("classifier")
	at := func(µs int) trace.SpanEventOption {
		return trace.WithTimestamp(start.Add(time.Duration(µs) * time.Microsecond))
	}
	event := trace.WithAttributes(spans.EventID.String(eventID))

	ctx, produce := producer.Start(t.Context(), spans.Produce, trace.WithSpanKind(trace.SpanKindProducer), at(0), event)
	produce.End(at(1200))
	ctx, consume := classifier.Start(ctx, spans.Consume, trace.WithSpanKind(trace.SpanKindConsumer), at(8900), event)
	_, classify := classifier.Start(ctx, spans.Classify, at(9000),
		trace.WithAttributes(attribute.Int("rules", 50), attribute.Bool("detected", true)))
	classify.End(at(9012))
	_, store := classifier.Start(ctx, spans.Store, at(9300))
	store.SetStatus(codes.Error, "disk is full")
	store.End(at(12300))
	consume.End(at(12400))
}

const sampleID = "4bf92f3577b34da6a3ce929d0e0e4736"

// backend is a trace backend: the embedded collector, or the real Jaeger that
// TEST_JAEGER_URL and TEST_OTLP_URL lead to.
func backend(t *testing.T) (client *jaeger.Client, otlp string) {
	t.Helper()
	if url := os.Getenv("TEST_JAEGER_URL"); url != "" {
		return jaeger.New(url), os.Getenv("TEST_OTLP_URL")
	}
	c, err := collector.Open(t.TempDir(), collector.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	receiver, query := httptest.NewServer(c.OTLP()), httptest.NewServer(c.Query())
	t.Cleanup(receiver.Close)
	t.Cleanup(query.Close)
	return jaeger.New(query.URL), receiver.URL
}

func TestJaeger(t *testing.T) {
	client, otlp := backend(t)
	start := time.Now().UTC().Truncate(time.Second).Add(-time.Minute)
	send(t, otlp, sampleID, "C5xhVb2", start)
	send(t, otlp, "0af7651916cd43dd8448eb211c80319c", "C5xhVb3", start.Add(time.Second))

	got, err := client.Trace(t.Context(), sampleID)
	for deadline := time.Now().Add(10 * time.Second); len(got.Spans) < 4 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond) // a real Jaeger takes a moment
		got, err = client.Trace(t.Context(), sampleID)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != sampleID || !got.Start().Equal(start) || got.Duration() != 12400*time.Microsecond || got.EventID() != "C5xhVb2" {
		t.Errorf("trace %s of event %s began at %v and took %v", got.ID, got.EventID(), got.Start(), got.Duration())
	}
	var names []string
	for _, span := range got.Tree() {
		names = append(names, strings.Repeat(">", span.Depth)+span.Name+" "+span.Service+" "+span.Kind)
		if (span.Name == spans.Consume) != (span.Wait == 7700*time.Microsecond) {
			t.Errorf("%s waited %v", span.Name, span.Wait)
		}
		if span.Name == spans.Classify && (span.Attributes["rules"] != "50" || span.Attributes["detected"] != "true") {
			t.Errorf("attributes of %s: %v", span.Name, span.Attributes)
		}
	}
	want := []string{"kafka.produce producer producer", ">kafka.consume classifier consumer",
		">>classification classifier internal", ">>storage.write classifier internal"}
	if !slices.Equal(names, want) {
		t.Errorf("tree is %q, want %q", names, want)
	}
	golden(t, "tree.golden", got)

	if found, err := client.Event(t.Context(), "C5xhVb3"); err != nil || found.EventID() != "C5xhVb3" || len(found.Spans) != 4 {
		t.Errorf("Event: %v, %v", found, err)
	}
	newest, err := client.Newest(t.Context(), "classifier", 2)
	if err != nil || len(newest) != 2 || newest[0].EventID() != "C5xhVb3" || newest[1].ID != sampleID {
		t.Errorf("Newest: %v, %v", newest, err)
	}
	for name, find := range map[string]func() (jaeger.Trace, error){
		"Trace": func() (jaeger.Trace, error) { return client.Trace(t.Context(), "00000000000000000000000000000001") },
		"Event": func() (jaeger.Trace, error) { return client.Event(t.Context(), "nothing") },
	} {
		if found, err := find(); !errors.Is(err, jaeger.ErrNoTrace) {
			t.Errorf("%s that is not there: %v, %v, want %v", name, found, err, jaeger.ErrNoTrace)
		}
	}
}

// answering is a backend that gives one answer to everything.
func answering(t *testing.T, status int, body string) *jaeger.Client {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(backend.Close)
	return jaeger.New(backend.URL)
}

// What a backend says is wrong is an error, and only "not found" is that a trace
// is not there.
func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		status  int
		body    string
		missing bool
		want    string
	}{
		{200, `{"data":[]}`, true, "no such trace"},
		{404, `{"errors":[{"code":404,"msg":"trace not found"}]}`, true, "no such trace"},
		{200, `{"data":[],"errors":[{"msg":"storage is away\u001b"}]}`, false, "storage is away"},
		{500, `{"errors":[{"msg":"storage is away"}]}`, false, "storage is away"},
		{500, `{"data":[]}`, false, "is not Jaeger's"},
		{404, `{}`, false, "is not Jaeger's"},
		{200, `<html>`, false, "is not Jaeger's"},
	} {
		_, err := answering(t, test.status, test.body).Trace(t.Context(), "1")
		if err == nil || errors.Is(err, jaeger.ErrNoTrace) != test.missing || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%d %s: error %v, want %s", test.status, test.body, err, test.want)
		}
	}
	if err := answering(t, 204, "").Clear(t.Context()); err != nil {
		t.Error(err)
	}
	if err := answering(t, 405, "").Clear(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot delete them") {
		t.Errorf("error %v", err)
	}
}

// An event is looked for in the traces of every service, and ids cannot leave
// their place in the address.
func TestRequests(t *testing.T) {
	var path string
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path = r.URL.EscapedPath(); {
		case path == "/api/services":
			fmt.Fprint(w, `{"data":["classifier","producer"]}`)
		case r.URL.Query().Get("service") == "producer" && r.URL.Query().Get("tags") == `{"messaging.message.id":"C5\"x"}`:
			fmt.Fprint(w, `{"data":[{"traceID":"7","spans":[{"spanID":"c"}]}]}`)
		default:
			fmt.Fprint(w, `{"data":[]}`)
		}
	}))
	defer backend.Close()
	client := jaeger.New(backend.URL)
	if found, err := client.Event(t.Context(), `C5"x`); err != nil || found.ID != "7" {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := client.Trace(t.Context(), "../a?b"); !errors.Is(err, jaeger.ErrNoTrace) || path != "/api/traces/..%2Fa%3Fb" {
		t.Errorf("%v of the path %s", err, path)
	}
}

// A span that has a parent and links as well has the parent in its place; what
// lies in another trace is not its parent.
func TestParents(t *testing.T) {
	for _, test := range []struct{ references, parent string }{
		{``, ""},
		{`{"refType":"CHILD_OF","traceID":"1","spanID":"a"}`, "a"},
		{`{"refType":"FOLLOWS_FROM","traceID":"1","spanID":"a"}`, "a"},
		{`{"refType":"FOLLOWS_FROM","traceID":"1","spanID":"a"},{"refType":"CHILD_OF","traceID":"1","spanID":"b"}`, "b"},
		{`{"refType":"CHILD_OF","traceID":"1","spanID":"b"},{"refType":"FOLLOWS_FROM","traceID":"1","spanID":"a"}`, "b"},
		{`{"refType":"FOLLOWS_FROM","traceID":"2","spanID":"a"}`, ""},
	} {
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"data":[{"traceID":"1","spans":[{"spanID":"c","references":[%s]}]}]}`, test.references)
		}))
		trace, err := jaeger.New(backend.URL).Trace(t.Context(), "1")
		backend.Close()
		if err != nil || len(trace.Spans) != 1 || trace.Spans[0].ParentID != test.parent {
			t.Errorf("[%s]: %+v (%v), want the parent %q", test.references, trace.Spans, err, test.parent)
		}
	}
}

// golden compares a drawn tree with a file in testdata.
func golden(t *testing.T, name string, trace jaeger.Trace) {
	t.Helper()
	var drawn bytes.Buffer
	if err := trace.WriteTree(&drawn); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, drawn.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(drawn.Bytes(), want) {
		t.Errorf("%s: drawn\n%s\nwant\n%s", name, drawn.Bytes(), want)
	}
}

// TestTreeOfOddSpans draws what a well-behaved sender would not send.
func TestTreeOfOddSpans(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	span := func(id, parent, name string, ms int) jaeger.Span {
		return jaeger.Span{ID: id, ParentID: parent, Service: "odd", Name: name,
			Start: start.Add(time.Duration(ms) * time.Millisecond), Duration: 90 * time.Second}
	}
	golden(t, "odd.golden", jaeger.Trace{ID: "1", Spans: []jaeger.Span{
		span("1", "0", "parent is missing", 10),
		span("2", "1", "begins before its parent", 0),
		span("3", "3", "its own parent", 20),
		span("4", "5", "one of a circle", 30),
		span("5", "4", "the other", 40),
		span("6", "2", "\x1b[31mred\x1b[0m\n", 1500),
		span("7", "1", "Überprüfung", 2500),
	}})
	golden(t, "empty.golden", jaeger.Trace{ID: "1"})
}

func TestJaegerErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + ln.Addr().String()
	ln.Close()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	for name, test := range map[string]struct{ url, want string }{
		"nothing listens": {gone, "start the stack, or set JAEGER_URL"},
		"another server":  {other.URL, "is JAEGER_URL right?"},
		"not a URL":       {"localhost:16686", "JAEGER_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := jaeger.New(test.url).Event(t.Context(), "1")
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), strings.TrimPrefix(test.url, "http://")) {
				t.Errorf("error %v, want the address and %q", err, test.want)
			}
		})
	}
}
