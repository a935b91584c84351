// Package sink is what comes after classification: everything that wants the
// classified events, such as the results file, a topic, a progress bar.
package sink

import (
	"context"
	"time"

	"soclab/pkg/event"
)

// Sink takes batches of classified events, those of a partition in the order of
// their offsets. When Append returns nil, the batch is where the sink keeps it.
// A batch may come again after an error or a crash: a sink that must not hold
// an event twice knows it by partition and offset. The batch is valid until
// Append returns, and is not the sink's to change.
type Sink interface {
	Append(ctx context.Context, batch *event.Batch) error
}

// All is several sinks as one. A batch goes to them in order, to the next when
// the one before has it: what decides where the consumer goes on after a crash,
// the results file, stands behind what must not miss a batch.
type All []Sink

// Append gives the batch to each sink until one fails. What is read again only
// to rebuild the classifier's memory goes to none.
func (a All) Append(ctx context.Context, batch *event.Batch) error {
	if batch.Replay || len(batch.Records) == 0 {
		return nil
	}
	for _, sink := range a {
		if err := sink.Append(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// Delay is a sink that keeps nothing and takes so long for each event: a slow
// pipeline to experiment with.
type Delay time.Duration

// Append waits, until ctx ends.
func (d Delay) Append(ctx context.Context, batch *event.Batch) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(d) * time.Duration(len(batch.Records)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
