package jaeger_test

import (
	"fmt"
	"os"
	"time"

	"soclab/pkg/jaeger"
	"soclab/pkg/tracing/spans"
)

func ExampleTrace_WriteTree() {
	start := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	t := jaeger.Trace{ID: "4bf92f3577b34da6a3ce929d0e0e4736", Spans: []jaeger.Span{
		{ID: "1", Service: "producer", Name: spans.Produce, Kind: "producer", Start: start, Duration: 2 * time.Millisecond},
		{ID: "2", ParentID: "1", Service: "classifier", Name: spans.Consume, Kind: "consumer",
			Start: start.Add(5 * time.Millisecond), Duration: time.Millisecond},
	}}
	if err := t.WriteTree(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// trace 4bf92f3577b34da6a3ce929d0e0e4736  6 ms
	// kafka.produce     producer     +0 s  2 ms
	// └─ kafka.consume  classifier  +5 ms  1 ms  (waited 3 ms in the queue)
}
