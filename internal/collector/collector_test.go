package collector

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// TestMain runs a collector alone, to be killed, when a test asks for it.
func TestMain(m *testing.M) {
	if dir := os.Getenv("COLLECTOR_TEST_DIR"); dir != "" {
		c, err := Open(dir, Limits{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(httptest.NewServer(c.OTLP()).URL)
		select {}
	}
	os.Exit(m.Run())
}

// open opens a collector for a test.
func open(t testing.TB, dir string, limits Limits) *Collector {
	t.Helper()
	c, err := Open(dir, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// base is when the test's traces begin.
var base = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// sampleExport is what one service sends: one span for each of n traces, whose
// ids count up from first.
func sampleExport(service, name string, kind tracepb.Span_SpanKind, first, n int) *collectorpb.ExportTraceServiceRequest {
	text := func(s string) *commonpb.AnyValue {
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
	}
	var list []*tracepb.Span
	for i := first; i < first+n; i++ {
		start := uint64(base.Add(time.Duration(i) * time.Millisecond).UnixNano())
		list = append(list, &tracepb.Span{
			TraceId: fmt.Appendf(nil, "trace %010d", i), SpanId: fmt.Appendf(nil, "%s%06d", name[len(name)-2:], i),
			Name: name, Kind: kind, StartTimeUnixNano: start, EndTimeUnixNano: start + 1_500_000,
			Attributes: []*commonpb.KeyValue{
				{Key: "messaging.system", Value: text("kafka")},
				{Key: "messaging.destination.name", Value: text("events.raw")},
				{Key: "messaging.message.id", Value: text(fmt.Sprintf("event-%d", i))},
				{Key: "messaging.kafka.offset", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: int64(i)}}},
			},
		})
	}
	return &collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{
			{Key: serviceName, Value: text(service)}, {Key: "host.name", Value: text("lab")},
		}},
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "soclab"}, Spans: list}},
	}}}
}

func post(t testing.TB, url, contentType string, body []byte) *http.Response {
	t.Helper()
	response, err := http.Post(url+"/v1/traces", contentType, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func export(t testing.TB, url string, request *collectorpb.ExportTraceServiceRequest) {
	t.Helper()
	body, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if response := post(t, url, "application/x-protobuf", body); response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		t.Fatalf("export: %s: %s", response.Status, text)
	}
}

// answer is a query's answer, as a client reads it.
type answer struct {
	Data   json.RawMessage
	Total  int
	Errors []replyError
}

func query(t testing.TB, c *Collector, path string) (int, answer) {
	t.Helper()
	w := httptest.NewRecorder()
	c.Query().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("GET %s: %v in %s", path, err, w.Body)
	}
	return w.Code, a
}

// traces returns the traces that a query finds.
func traces(t testing.TB, c *Collector, path string) []jaegerTrace {
	t.Helper()
	code, a := query(t, c, path)
	if code != http.StatusOK {
		t.Fatalf("GET %s: %d %v", path, code, a.Errors)
	}
	var found []jaegerTrace
	if err := json.Unmarshal(a.Data, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

func hexID(i int) string { return hex.EncodeToString(fmt.Appendf(nil, "trace %010d", i)) }

// TestSDK sends one trace of two services with the OpenTelemetry SDK and reads
// it back as Jaeger would show it.
func TestSDK(t *testing.T) {
	c := open(t, t.TempDir(), Limits{})
	server := httptest.NewServer(c.OTLP())
	defer server.Close()

	provider := func(service string) *sdktrace.TracerProvider {
		exporter, err := otlptracehttp.New(t.Context(),
			otlptracehttp.WithEndpointURL(server.URL+"/v1/traces"), otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
		if err != nil {
			t.Fatal(err)
		}
		return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter),
			sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service), attribute.String("host.name", "lab"))))
	}
	producer, classifier := provider("producer"), provider("classifier")

	ctx, produce := producer.Tracer("soclab/stream", trace.WithInstrumentationVersion("1.0")).Start(t.Context(), "kafka.produce",
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(base),
		trace.WithAttributes(
			attribute.String("messaging.message.id", "C5xh"), attribute.Int("messaging.kafka.offset", 7),
			attribute.Bool("sampled", true), attribute.Float64("share", 0.5), attribute.StringSlice("rules", []string{"a", "b"}),
		))
	produce.AddEvent("queued", trace.WithTimestamp(base.Add(time.Millisecond)), trace.WithAttributes(attribute.Int("length", 3)))
	produce.End(trace.WithTimestamp(base.Add(1200 * time.Microsecond)))
	_, consume := classifier.Tracer("soclab/stream").Start(ctx, "kafka.consume",
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(base.Add(8900*time.Microsecond)),
		trace.WithLinks(trace.Link{SpanContext: produce.SpanContext()}))
	consume.SetStatus(codes.Error, "topic is gone")
	consume.End(trace.WithTimestamp(base.Add(12400 * time.Microsecond)))
	for _, p := range []*sdktrace.TracerProvider{producer, classifier} {
		if err := p.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
	}

	id, produceID, consumeID := produce.SpanContext().TraceID().String(), produce.SpanContext().SpanID().String(), consume.SpanContext().SpanID().String()
	code, a := query(t, c, "/api/traces/"+id)
	if code != http.StatusOK {
		t.Fatalf("the trace is not found: %d %v", code, a.Errors)
	}
	want := fmt.Sprintf(`[{
		"traceID": "%[1]s",
		"spans": [
			{"traceID": "%[1]s", "spanID": "%[2]s", "operationName": "kafka.produce", "references": [],
			 "startTime": 1795435200000000, "duration": 1200,
			 "tags": [
				{"key": "messaging.kafka.offset", "type": "int64", "value": 7},
				{"key": "messaging.message.id", "type": "string", "value": "C5xh"},
				{"key": "otel.scope.name", "type": "string", "value": "soclab/stream"},
				{"key": "otel.scope.version", "type": "string", "value": "1.0"},
				{"key": "rules", "type": "string", "value": "[\"a\",\"b\"]"},
				{"key": "sampled", "type": "bool", "value": true},
				{"key": "share", "type": "float64", "value": 0.5},
				{"key": "span.kind", "type": "string", "value": "producer"}],
			 "logs": [{"timestamp": 1795435200001000, "fields": [
				{"key": "event", "type": "string", "value": "queued"}, {"key": "length", "type": "int64", "value": 3}]}],
			 "processID": "%[4]s", "warnings": null},
			{"traceID": "%[1]s", "spanID": "%[3]s", "operationName": "kafka.consume", "references": [
				{"refType": "CHILD_OF", "traceID": "%[1]s", "spanID": "%[2]s"},
				{"refType": "FOLLOWS_FROM", "traceID": "%[1]s", "spanID": "%[2]s"}],
			 "startTime": 1795435200008900, "duration": 3500,
			 "tags": [
				{"key": "error", "type": "bool", "value": true},
				{"key": "otel.scope.name", "type": "string", "value": "soclab/stream"},
				{"key": "otel.status_code", "type": "string", "value": "ERROR"},
				{"key": "otel.status_description", "type": "string", "value": "topic is gone"},
				{"key": "span.kind", "type": "string", "value": "consumer"}],
			 "logs": [], "processID": "%[5]s", "warnings": null}],
		"processes": {
			"%[4]s": {"serviceName": "producer", "tags": [{"key": "host.name", "type": "string", "value": "lab"}]},
			"%[5]s": {"serviceName": "classifier", "tags": [{"key": "host.name", "type": "string", "value": "lab"}]}},
		"warnings": null}]`, id, produceID, consumeID, "p1", "p2")
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(want)); err != nil {
		t.Fatal(err)
	}
	if string(a.Data) != compact.String() {
		t.Errorf("trace reads\n%s\nwant\n%s", a.Data, compact.String())
	}

	if _, a := query(t, c, "/api/services"); string(a.Data) != `["classifier","producer"]` || a.Total != 2 {
		t.Errorf("services: %s, total %d", a.Data, a.Total)
	}
	if _, a := query(t, c, "/api/services/producer/operations"); string(a.Data) != `["kafka.produce"]` {
		t.Errorf("operations of producer: %s", a.Data)
	}
	if _, a := query(t, c, "/api/operations?service=classifier"); string(a.Data) != `[{"name":"kafka.consume","spanKind":"consumer"}]` {
		t.Errorf("operations of classifier: %s", a.Data)
	}
}

func TestQueryErrors(t *testing.T) {
	c := open(t, t.TempDir(), Limits{})
	for path, want := range map[string]replyError{
		"/api/traces/4bf92f3577b34da6a3ce929d0e0e4736": {404, "trace not found"},
		"/api/traces/xyz":                                                {400, `trace id "xyz": must have 1 to 32 hex digits`},
		"/api/traces":                                                    {400, "parameter 'service' is required"},
		"/api/operations":                                                {400, "parameter 'service' is required"},
		"/api/traces?service=s&limit=many":                               {400, `unable to parse param 'limit': strconv.Atoi: parsing "many": invalid syntax`},
		"/api/traces?service=s&tag=novalue":                              {400, "malformed 'tag' parameter, expecting key:value, received: novalue"},
		"/api/traces?service=s&tags=[]":                                  {400, "malformed 'tags' parameter, cannot unmarshal JSON: json: cannot unmarshal array into Go value of type map[string]string"},
		"/api/traces?service=s&minDuration=2s&maxDuration=1s":            {400, "'maxDuration' should be greater than 'minDuration'"},
		"/api/traces?traceID=0123456789012345678901234567890123456789ab": {400, `trace id "0123456789012345678901234567890123456789ab": must have 1 to 32 hex digits`},
	} {
		code, a := query(t, c, path)
		if code != want.Code || string(a.Data) != "null" || !slices.Equal(a.Errors, []replyError{want}) {
			t.Errorf("GET %s: status %d, errors %v, want %v", path, code, a.Errors, want)
		}
	}
}

func TestSearch(t *testing.T) {
	c := open(t, t.TempDir(), Limits{})
	server := httptest.NewServer(c.OTLP())
	defer server.Close()
	export(t, server.URL, sampleExport("producer", "kafka.produce", tracepb.Span_SPAN_KIND_PRODUCER, 0, 300))
	export(t, server.URL, sampleExport("classifier", "kafka.consume", tracepb.Span_SPAN_KIND_CONSUMER, 0, 200))

	at := func(ms int) string { return fmt.Sprint(base.Add(time.Duration(ms) * time.Millisecond).UnixMicro()) }
	window := "&start=" + at(0) + "&end=" + at(1000)
	all := func(from, to int) (ids []string) { // newest first
		for i := to; i >= from; i-- {
			ids = append(ids, hexID(i))
		}
		return ids
	}
	for name, test := range map[string]struct {
		query string
		want  []string
	}{
		"newest of a service":      {"service=classifier&limit=3" + window, all(197, 199)},
		"100 by default":           {"service=producer" + window, all(200, 299)},
		"operation":                {"service=producer&operation=kafka.consume" + window, nil},
		"unknown service":          {"service=other" + window, nil},
		"time":                     {"service=producer&start=" + at(10) + "&end=" + at(12), all(10, 12)},
		"too long ago":             {"service=producer&lookback=1h&end=" + fmt.Sprint(base.Add(2*time.Hour).UnixMicro()), nil},
		"lookback":                 {"service=producer&limit=1&lookback=1h&end=" + at(1000), all(299, 299)},
		"min duration":             {"service=producer&limit=1&minDuration=1.5ms" + window, all(299, 299)},
		"longer than any":          {"service=producer&minDuration=1.6ms" + window, nil},
		"shorter than any":         {"service=producer&maxDuration=1ms" + window, nil},
		"string tag":               {"service=producer&tag=messaging.message.id:event-17" + window, all(17, 17)},
		"string tag, JSON":         {"service=producer&tags=" + url.QueryEscape(`{"messaging.message.id":"event-17"}`) + window, all(17, 17)},
		"integer tag":              {"service=producer&tag=messaging.kafka.offset:42" + window, all(42, 42)},
		"kind":                     {"service=producer&limit=1&tag=span.kind:producer" + window, all(299, 299)},
		"tag of the process":       {"service=producer&limit=1&tag=host.name:lab" + window, all(299, 299)},
		"part of a value":          {"service=producer&tag=messaging.message.id:event-1" + window, all(1, 1)},
		"tags of two spans":        {"service=classifier&tag=messaging.message.id:event-17&tag=span.kind:producer" + window, nil},
		"by id":                    {"traceID=" + hexID(5) + "&traceID=" + hexID(999), all(5, 5)},
		"by id, in capitals":       {"traceID=" + strings.ToUpper(hexID(5)), all(5, 5)},
		"absurd times":             {"service=producer&start=-9223372036854775808&end=9223372036854775807&limit=1", all(299, 299)},
		"no traces, if none asked": {"service=producer&limit=0" + window, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, trace := range traces(t, c, "/api/traces?"+test.query) {
				got = append(got, trace.TraceID)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("found %v, want %v", got, test.want)
			}
		})
	}
	found := traces(t, c, "/api/traces/"+hexID(17))
	if len(found) != 1 || len(found[0].Spans) != 2 || len(found[0].Processes) != 2 {
		t.Errorf("a trace of two exports reads %+v", found)
	}
}

func TestOTLPJSON(t *testing.T) {
	c := open(t, t.TempDir(), Limits{})
	server := httptest.NewServer(c.OTLP())
	defer server.Close()
	response := post(t, server.URL, "application/json; charset=utf-8", []byte(`{"resourceSpans":[{
		"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}}]},
		"scopeSpans":[{"spans":[{
			"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","parentSpanId":"a1b2c3d4e5f60718",
			"name":"GET /","kind":2,"startTimeUnixNano":"1795435200000000000","endTimeUnixNano":"1795435200000500000",
			"attributes":[{"key":"n","value":{"intValue":"3"}}],"unknownField":1,
			"links":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"}]}]}]}]}`))
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK || string(body) != "{}" {
		t.Fatalf("export: %s %s", response.Status, body)
	}
	found := traces(t, c, "/api/traces/4bf92f3577b34da6a3ce929d0e0e4736")
	if len(found) != 1 {
		t.Fatal("the trace is not found")
	}
	want := []jaegerReference{
		{"CHILD_OF", "4bf92f3577b34da6a3ce929d0e0e4736", "a1b2c3d4e5f60718"},
		{"FOLLOWS_FROM", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"},
	}
	if span := found[0].Spans[0]; span.SpanID != "00f067aa0ba902b7" || !slices.Equal(span.References, want) || span.Duration != 500 {
		t.Errorf("span reads %+v", span)
	}
}

func TestExportRefuses(t *testing.T) {
	c := open(t, t.TempDir(), Limits{})
	server := httptest.NewServer(c.OTLP())
	defer server.Close()
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	io.CopyN(zip, zeros{}, maxExport+1)
	zip.Close()
	for name, test := range map[string]struct {
		contentType, coding string
		body                []byte
		want                int
	}{
		"text":                    {"text/plain", "", nil, http.StatusUnsupportedMediaType},
		"not protobuf":            {"application/x-protobuf", "", []byte("hello"), http.StatusBadRequest},
		"not JSON":                {"application/json", "", []byte("hello"), http.StatusBadRequest},
		"id that is not hex":      {"application/json", "", []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyzw"}]}]}]}`), http.StatusBadRequest},
		"not gzip":                {"application/x-protobuf", "gzip", []byte("hello"), http.StatusBadRequest},
		"other coding":            {"application/x-protobuf", "br", nil, http.StatusBadRequest},
		"too large":               {"application/x-protobuf", "", make([]byte, maxExport+1), http.StatusRequestEntityTooLarge},
		"too large when unzipped": {"application/x-protobuf", "gzip", bomb.Bytes(), http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequest("POST", server.URL+"/v1/traces", bytes.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", test.contentType)
			request.Header.Set("Content-Encoding", test.coding)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != test.want {
				t.Errorf("status %s, want %d", response.Status, test.want)
			}
		})
	}
	request := sampleExport("producer", "kafka.produce", tracepb.Span_SPAN_KIND_PRODUCER, 0, 2)
	request.ResourceSpans[0].ScopeSpans[0].Spans[0].SpanId = make([]byte, 8)
	body, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var answer collectorpb.ExportTraceServiceResponse
	data, _ := io.ReadAll(post(t, server.URL, "application/x-protobuf", body).Body)
	if err := proto.Unmarshal(data, &answer); err != nil || answer.GetPartialSuccess().GetRejectedSpans() != 1 {
		t.Errorf("a span without id: %v, %v, want one span rejected", &answer, err)
	}
	if len(traces(t, c, "/api/traces/"+hexID(1))) != 1 {
		t.Error("the span beside the rejected one is not there")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestKeepsEnough checks the promise of the defaults: 50,000 traces of 4 spans.
func TestKeepsEnough(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, Limits{})
	const n = 50_000
	for _, names := range [][]string{{"a.produce"}, {"b.consume", "c.classification", "d.storage.write"}} {
		export := []*tracepb.ResourceSpans{}
		for _, name := range names {
			export = append(export, sampleExport("svc "+name[:1], name, tracepb.Span_SPAN_KIND_INTERNAL, 0, n).ResourceSpans...)
		}
		traces, _ := splitTraces(export)
		for batch := range slices.Chunk(traces, 1000) {
			if err := c.store.add(batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(c *Collector) {
		t.Helper()
		if got := len(c.store.traces); got != n {
			t.Errorf("%d traces are held, want %d", got, n)
		}
		for _, i := range []int{0, n / 2, n - 1} {
			if found := traces(t, c, "/api/traces/"+hexID(i)); len(found) != 1 || len(found[0].Spans) != 4 {
				t.Errorf("trace %d reads %v", i, found)
			}
		}
	}
	check(c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir, Limits{})
	check(c)
	if _, a := query(t, c, "/api/services"); string(a.Data) != `["svc a","svc b","svc c","svc d"]` {
		t.Errorf("services after loading: %s", a.Data)
	}
}

func TestLimits(t *testing.T) {
	for name, limits := range map[string]Limits{
		"traces": {Traces: 1600},
		"bytes":  {Bytes: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := open(t, dir, limits)
			const n = 20_000
			for first := 0; first < n; first += 100 {
				traces, _ := splitTraces(sampleExport(fmt.Sprint("producer ", first/1000), "kafka.produce", tracepb.Span_SPAN_KIND_PRODUCER, first, 100).ResourceSpans)
				if err := c.store.add(traces); err != nil {
					t.Fatal(err)
				}
			}
			if held := len(c.store.traces); held > n/5 || held < n/20 {
				t.Errorf("%d traces are held", held)
			}
			var size int64
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			for _, file := range files {
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				size += info.Size()
			}
			if size > 1<<20 {
				t.Errorf("%d bytes are held", size)
			}
			if found := traces(t, c, "/api/traces?traceID="+hexID(0)+"&traceID="+hexID(n-1)); len(found) != 1 || found[0].TraceID != hexID(n-1) {
				t.Errorf("of the oldest and the newest trace these are left: %v", found)
			}
			if services := c.services(); slices.Contains(services, "producer 0") || !slices.Contains(services, "producer 19") {
				t.Errorf("services: %v", services)
			}
		})
	}
}

func TestSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), "COLLECTOR_TEST_DIR="+dir)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var address string
	if _, err := fmt.Fscanln(stdout, &address); err != nil {
		t.Fatal(err)
	}
	export(t, address, sampleExport("producer", "kafka.produce", tracepb.Span_SPAN_KIND_PRODUCER, 0, 100))
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	command.Wait()

	c := open(t, dir, Limits{})
	for i := range 100 {
		if _, ok := c.trace(traceID(fmt.Appendf(nil, "trace %010d", i))); !ok {
			t.Errorf("trace %d is lost", i)
		}
	}
}

// TestTornTail cuts the last segment at every length and goes on writing.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, Limits{})
	add := func(c *Collector, i int) {
		t.Helper()
		traces, _ := splitTraces(sampleExport("producer", "kafka.produce", tracepb.Span_SPAN_KIND_PRODUCER, i, 1).ResourceSpans)
		if err := c.store.add(traces); err != nil {
			t.Fatal(err)
		}
	}
	name := c.store.segments[0].file.Name()
	add(c, 0)
	whole := c.store.segments[0].size
	add(c, 1)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for length := whole; length < int64(len(data)); length++ {
		torn := data[:length]
		if length%2 == 0 { // as long as it was, but not written
			torn = slices.Concat(torn, make([]byte, int64(len(data))-length))
		}
		if err := os.WriteFile(name, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		c := open(t, dir, Limits{})
		if size := c.store.segments[0].size; size != whole {
			t.Fatalf("cut at %d: %d bytes are held, want %d", length, size, whole)
		}
		add(c, 2)
		c.Close()
		c = open(t, dir, Limits{})
		if len(c.store.traces) != 2 {
			t.Fatalf("cut at %d: %d traces are held, want 2", length, len(c.store.traces))
		}
		c.Close()
	}
}

// TestReadersAndWriters has traces read while they are added and dropped; it is
// for the race detector.
func TestReadersAndWriters(t *testing.T) {
	c := open(t, t.TempDir(), Limits{Traces: 160})
	done := make(chan error)
	go func() {
		var errs []error
		for i := range 500 {
			traces, _ := splitTraces(sampleExport("producer", "kafka.produce", tracepb.Span_SPAN_KIND_PRODUCER, i, 1+i%3).ResourceSpans)
			errs = append(errs, c.store.add(traces))
		}
		done <- errors.Join(errs...)
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
			traces(t, c, "/api/traces?service=producer&tag=none:none&start=0&end="+fmt.Sprint(base.Add(time.Hour).UnixMicro()))
			query(t, c, "/api/services")
		}
	}
}
