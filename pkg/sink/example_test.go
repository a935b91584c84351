package sink_test

import (
	"context"
	"fmt"
	"log"

	"soclab/pkg/event"
	"soclab/pkg/sink"
)

// byClass is a sink that counts the events of each class.
type byClass map[string]int

func (b byClass) Append(_ context.Context, batch *event.Batch) error {
	for i := range batch.Records {
		b[batch.Records[i].Verdict.Class]++
	}
	return nil
}

// A sink of one's own beside another: it counts, and sees nothing of what is
// only read again.
func ExampleAll() {
	counts := byClass{}
	sinks := sink.All{counts, sink.Delay(0)}
	benign, scan := &event.Verdict{Class: event.Benign}, &event.Verdict{Class: "Port Scan"}
	for _, batch := range []*event.Batch{
		{Replay: true, Records: []event.Record{{Offset: 5}}},
		{Records: []event.Record{{Offset: 6, Verdict: benign}, {Offset: 7, Verdict: scan}}},
		{Records: []event.Record{{Offset: 8, Verdict: scan}}},
	} {
		if err := sinks.Append(context.Background(), batch); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(counts)
	// Output: map[Port Scan:2 benign:1]
}
