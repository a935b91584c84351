package collector

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

func getPage(t *testing.T, c *Collector, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	c.Query().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	policy := w.Header().Get("Content-Security-Policy")
	if w.Code != http.StatusFound && (!strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe")) {
		t.Errorf("GET %s: Content-Security-Policy is %q", path, policy)
	}
	return w.Code, w.Body.String()
}

func TestPages(t *testing.T) {
	c := open(t, t.TempDir(), Limits{})
	if code, body := getPage(t, c, "/search"); code != http.StatusOK || !strings.Contains(body, "No traces are found.") {
		t.Errorf("search without traces: %d %s", code, body)
	}
	produced := sampleExport("producer", "kafka.produce", tracepb.Span_SPAN_KIND_PRODUCER, 0, 30)
	consumed := sampleExport("classifier", "kafka.consume", tracepb.Span_SPAN_KIND_CONSUMER, 0, 30)
	for i, span := range consumed.ResourceSpans[0].ScopeSpans[0].Spans {
		span.ParentSpanId = produced.ResourceSpans[0].ScopeSpans[0].Spans[i].SpanId
		span.StartTimeUnixNano += 8_900_000
		span.EndTimeUnixNano += 8_900_000
	}
	for _, request := range []*tracepb.ResourceSpans{produced.ResourceSpans[0], consumed.ResourceSpans[0]} {
		traces, _ := splitTraces([]*tracepb.ResourceSpans{request})
		if err := c.store.add(traces); err != nil {
			t.Fatal(err)
		}
	}
	window := "&start=0&end=1795500000000000"
	for path, test := range map[string]struct {
		code   int
		want   []string
		absent []string
	}{
		"/": {302, []string{`<a href="/search">`}, nil},
		"/search?end=1795500000000000": {200, []string{`href="/trace/` + hexID(29), `href="/trace/` + hexID(10), "producer: kafka.produce",
			"classifier, producer", "event-29", "10.4 ms", "2026-11-23 12:00:00.029", "the real Jaeger"}, []string{hexID(9)}},
		"/search?service=classifier&tag=messaging.message.id:event-3" + window: {200, []string{hexID(3), "<option selected>classifier</option>", "<option>kafka.consume</option>"}, []string{hexID(4)}},
		"/search?service=&operation=&tag=&minDuration=1h&lookback=1h":          {200, []string{"No traces are found."}, nil},
		"/search?minDuration=long": {400, []string{"unable to parse param &#39;minDuration&#39;"}, nil},
		"/trace/" + hexID(3): {200, []string{"producer: kafka.produce", "kafka.consume", "waited 7.4 ms in the queue", "<dt>messaging.kafka.offset</dt><dd>3</dd>",
			`<dt>host.name</dt><dd class="soft">lab</dd>`, "10.4 ms"}, []string{`style="`}},
		"/trace/" + hexID(99): {404, []string{"Trace not found"}, nil},
		"/trace/<script>":     {400, []string{"Not a trace id"}, []string{"<script"}},
	} {
		code, body := getPage(t, c, path)
		if code != test.code {
			t.Errorf("GET %s: %d, want %d", path, code, test.code)
		}
		for _, want := range test.want {
			if !strings.Contains(body, want) {
				t.Errorf("GET %s: want %q in\n%s", path, want, body)
			}
		}
		for _, absent := range test.absent {
			if strings.Contains(body, absent) {
				t.Errorf("GET %s: %q stands in\n%s", path, absent, body)
			}
		}
	}
}

// TestPagesEscape shows a trace whose every text is an attack on the page.
func TestPagesEscape(t *testing.T) {
	c := open(t, t.TempDir(), Limits{})
	const attack = `"'></code><script>alert(1)</script><img src=x onerror=alert(1)>`
	request := sampleExport(attack, attack, tracepb.Span_SPAN_KIND_SERVER, 0, 1)
	span := request.ResourceSpans[0].ScopeSpans[0].Spans[0]
	span.Attributes[2].Value = request.ResourceSpans[0].Resource.Attributes[0].Value
	span.Attributes[0].Key = attack
	span.Events = []*tracepb.Span_Event{{Name: attack, Attributes: span.Attributes}}
	traces, _ := splitTraces(request.ResourceSpans)
	if err := c.store.add(traces); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/search?end=1795500000000000", "/trace/" + hexID(0)} {
		code, body := getPage(t, c, path)
		if code != http.StatusOK || !strings.Contains(body, "&lt;script&gt;") {
			t.Errorf("GET %s: %d, and the trace is not there", path, code)
		}
		if strings.Contains(body, "<script") || strings.Contains(body, "<img") {
			t.Errorf("GET %s is not escaped:\n%s", path, body)
		}
	}
}
