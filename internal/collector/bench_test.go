package collector

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"testing"

	"google.golang.org/protobuf/proto"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// BenchmarkExport takes batches of 2,000 spans of as many traces.
func BenchmarkExport(b *testing.B) {
	c := open(b, b.TempDir(), Limits{})
	const n = 2000
	var bodies [][]byte
	for i := range 50 {
		body, err := proto.Marshal(sampleExport("producer", "kafka.produce", tracepb.Span_SPAN_KIND_PRODUCER, i*n, n))
		if err != nil {
			b.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	b.SetBytes(int64(len(bodies[0])))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r := httptest.NewRequest("POST", "/v1/traces", bytes.NewReader(bodies[i%len(bodies)]))
		r.Header.Set("Content-Type", "application/x-protobuf")
		w := httptest.NewRecorder()
		c.OTLP().ServeHTTP(w, r)
		if w.Code != 200 {
			b.Fatal(w.Code, w.Body)
		}
		i++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/span")
}

// BenchmarkFull works on 50,000 traces of 4 spans.
func BenchmarkFull(b *testing.B) {
	dir := b.TempDir()
	c := open(b, dir, Limits{})
	const n = 50_000
	for first := 0; first < n; first += 1000 {
		for _, name := range []string{"a.produce", "b.consume", "c.classification", "d.storage.write"} {
			traces, _ := splitTraces(sampleExport("svc "+name[:1], name, tracepb.Span_SPAN_KIND_INTERNAL, first, 1000).ResourceSpans)
			if err := c.store.add(traces); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			c, err := Open(dir, Limits{})
			if err != nil {
				b.Fatal(err)
			}
			c.Close()
		}
	})
	window := "&start=0&end=" + fmt.Sprint(base.AddDate(0, 0, 1).UnixMicro())
	for name, path := range map[string]string{
		"trace":      "/api/traces/" + hexID(777),
		"newest20":   "/api/traces?service=svc%20a&limit=20" + window,
		"tag":        "/api/traces?service=svc%20a&limit=1&tag=messaging.message.id:event-25000" + window,
		"missingTag": "/api/traces?service=svc%20a&limit=1&tag=messaging.message.id:nothing" + window,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				query(b, c, path)
			}
		})
	}
}
