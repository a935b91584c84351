package collector

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// FuzzExport sends any body in both encodings; whatever is taken can be read
// back, as JSON and on the pages.
func FuzzExport(f *testing.F) {
	request := sampleExport("producer", "kafka.produce", tracepb.Span_SPAN_KIND_PRODUCER, 0, 2)
	request.ResourceSpans[0].ScopeSpans[0].Spans[1].ParentSpanId = []byte("12345678")
	body, err := proto.Marshal(request)
	if err != nil {
		f.Fatal(err)
	}
	text, err := protojson.Marshal(request)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body, false)
	f.Add(text, true)
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7",
		"startTimeUnixNano":"18446744073709551615","status":{"code":2},"attributes":[{"key":"a","value":{"arrayValue":{"values":[{"doubleValue":"NaN"}]}}}]}]}]}]}`), true)
	f.Fuzz(func(t *testing.T, body []byte, isJSON bool) {
		c := open(t, t.TempDir(), Limits{})
		r := httptest.NewRequest("POST", "/v1/traces", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/x-protobuf")
		if isJSON {
			r.Header.Set("Content-Type", "application/json")
		}
		w := httptest.NewRecorder()
		c.OTLP().ServeHTTP(w, r)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Fatalf("export: %d %s", w.Code, w.Body)
		}
		get := func(path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			c.Query().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if w.Code != http.StatusOK {
				t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
			}
			return w
		}
		for id := range c.store.traces {
			path := "/" + hex.EncodeToString(id[:])
			if answer := get("/api/traces" + path); !json.Valid(answer.Body.Bytes()) {
				t.Fatalf("trace %x reads %s", id, answer.Body)
			}
			get("/trace" + path)
		}
		get("/search")
		for _, service := range c.services() {
			get("/api/traces?service=" + url.QueryEscape(service) + "&start=0")
		}
	})
}

// FuzzQuery asks with any parameters.
func FuzzQuery(f *testing.F) {
	c := open(f, f.TempDir(), Limits{})
	traces, _ := splitTraces(sampleExport("producer", "kafka.produce", tracepb.Span_SPAN_KIND_PRODUCER, 0, 3).ResourceSpans)
	if err := c.store.add(traces); err != nil {
		f.Fatal(err)
	}
	f.Add("service=producer&limit=3&start=1&end=2&minDuration=1ms&maxDuration=2s&tag=a:b&tags={}&lookback=1h")
	f.Add("traceID=1f&service=producer&start=-9223372036854775808")
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"/api/traces", "/search", "/api/operations"} {
			r := httptest.NewRequest("GET", path, nil)
			r.URL.RawQuery = query
			w := httptest.NewRecorder()
			c.Query().ServeHTTP(w, r)
			if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
				t.Fatalf("GET %s?%s: %d %s", path, query, w.Code, w.Body)
			}
		}
	})
}

// FuzzLoad opens a segment of any bytes: what is whole is kept, the rest is cut,
// and the store goes on.
func FuzzLoad(f *testing.F) {
	dir := f.TempDir()
	c := open(f, dir, Limits{})
	traces, _ := splitTraces(sampleExport("producer", "kafka.produce", tracepb.Span_SPAN_KIND_PRODUCER, 0, 2).ResourceSpans)
	if err := c.store.add(traces); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(c.store.segments[0].file.Name())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)-1])
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "0000000001.otlp"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		c := open(t, dir, Limits{})
		if err := c.store.add(traces); err != nil {
			t.Fatal(err)
		}
		before := len(c.store.traces)
		c.Close()
		c = open(t, dir, Limits{})
		if len(c.store.traces) != before {
			t.Fatalf("%d traces are held, %d after loading", before, len(c.store.traces))
		}
		for id := range c.store.traces {
			c.trace(id)
		}
	})
}
