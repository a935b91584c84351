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
	"soclab/pkg/jaeger"
	"soclab/pkg/tracing"
	"soclab/pkg/tracing/spans"
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
		ctx, produce := traces.Tracer().Start(ctx, spans.Produce, trace.WithSpanKind(trace.SpanKindProducer),
			trace.WithAttributes(spans.EventID.String("C5xhVb2")))
		_, consume := traces.Tracer().Start(ctx, spans.Consume, trace.WithSpanKind(trace.SpanKindConsumer))
		consume.End()
		produce.End()
	}
	traces.Close()
	fmt.Println(traces.Counts()) // exported, dropped

	found, err := jaeger.New(query.URL).Event(ctx, "C5xhVb2")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, node := range found.Tree() {
		fmt.Println(strings.Repeat("  ", node.Depth)+node.Name, node.Kind, node.Service)
	}
	// Output:
	// 2 0
	// kafka.produce producer producer
	//   kafka.consume consumer producer
}
