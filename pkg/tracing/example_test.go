package tracing_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"soclab/internal/collector"
	"soclab/pkg/tracing"
)

// One event's spans go to a trace backend, here the embedded collector, and are
// read back by the event's id.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "traces")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	backend, err := collector.Open(folder, collector.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close()
	otlp, query := httptest.NewServer(backend.OTLP()), httptest.NewServer(backend.Query())
	defer otlp.Close()
	defer query.Close()

	traces, err := tracing.Start(ctx, "producer", otlp.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	if traces.Sample(time.Now()) {
		ctx, produce := traces.Tracer().Start(ctx, tracing.SpanProduce, trace.WithSpanKind(trace.SpanKindProducer),
			trace.WithAttributes(tracing.KeyEventID.String("C5xhVb2")))
		_, consume := traces.Tracer().Start(ctx, tracing.SpanConsume, trace.WithSpanKind(trace.SpanKindConsumer))
		consume.End()
		produce.End()
	}
	traces.Close()
	fmt.Println(traces.Counts()) // exported, dropped

	found, err := tracing.NewJaeger(query.URL).Event(ctx, "C5xhVb2")
	if err != nil {
		fmt.Println(err)
		return
	}
	for depth, span := range found.Walk() {
		fmt.Println(strings.Repeat("  ", depth)+span.Name, span.Kind, span.Service)
	}
	// Output:
	// 2 0
	// kafka.produce producer producer
	//   kafka.consume consumer producer
}

func ExampleTrace_WriteTree() {
	start := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	t := tracing.Trace{ID: "4bf92f3577b34da6a3ce929d0e0e4736", Spans: []tracing.Span{
		{ID: "1", Service: "producer", Name: tracing.SpanProduce, Kind: "producer", Start: start, Duration: 2 * time.Millisecond},
		{ID: "2", ParentID: "1", Service: "classifier", Name: tracing.SpanConsume, Kind: "consumer",
			Start: start.Add(5 * time.Millisecond), Duration: time.Millisecond},
	}}
	if err := t.WriteTree(os.Stdout); err != nil {
		fmt.Println(err)
	}
	fmt.Println("waited", t.Wait(t.Spans[1]))
	// Output:
	// trace 4bf92f3577b34da6a3ce929d0e0e4736  6.0 ms
	// kafka.produce     producer      +0 µs  2.0 ms
	// └─ kafka.consume  classifier  +5.0 ms  1.0 ms  (waited 3.0 ms in the queue)
	// waited 3ms
}
