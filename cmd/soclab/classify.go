package main

import (
	"context"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"soclab/pkg/event"
	"soclab/pkg/human"
	"soclab/pkg/sigma"
	"soclab/pkg/sink"
	"soclab/pkg/store"
	"soclab/pkg/stream"
	"soclab/pkg/tracing"
)

// classifyFlags say how the consumer works.
type classifyFlags struct {
	rules   ruleFlags
	publish bool
	drain   bool
	delay   time.Duration
}

func (f *classifyFlags) add(cmd *cobra.Command) {
	f.rules.add(cmd)
	cmd.Flags().BoolVar(&f.publish, "publish", true, "send the classified events to "+stream.Classified)
}

func newClassifyCommand(s *shared) *cobra.Command {
	var how classifyFlags
	cmd := &cobra.Command{
		Use:   "classify",
		Short: "Consume events, classify them, store the results",
		Long: `Consumes events.raw as a member of the group "classifier", maps each event to
ATT&CK by the Sigma rules, sends the result to events.classified, and appends it
to classified_packets.csv, each event exactly once. Start it several times
to share the work; kill it and start it again: it goes on where the file ends.`,
		Example: `  soclab classify                  until Ctrl-C
  soclab classify --drain          until all that is in the topic now is stored
  soclab classify --rules my-rules --drain
  soclab classify --delay 5ms      a slow consumer, to watch the lag grow`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if how.delay < 0 {
				return usageErrorf("--delay %s: want a time such as 5ms for each event", how.delay)
			}
			ctx := cmd.Context()
			l, err := s.open(ctx)
			if err != nil {
				return err
			}
			defer closing(&err, func() error { return l.close(ctx) })
			rules, err := how.rules.load(l.data)
			if err != nil {
				return err
			}
			done, err := l.classify(ctx, rules, how)
			if err == nil || done.events+done.deadLetters > 0 {
				fmt.Fprintf(stderr, "Classified %s, %s of them detected; %s. Results: %s\n",
					human.Counted(done.events, "event"), human.Count(done.detected), human.Counted(done.deadLetters, "dead letter"), l.relative(classifiedFile))
			}
			return err
		},
	}
	how.add(cmd)
	cmd.Flags().BoolVar(&how.drain, "drain", false, "end when what the topic holds now is stored (default go on until Ctrl-C)")
	cmd.Flags().DurationVar(&how.delay, "delay", 0, "wait so long on each event, for experiments (default not at all)")
	return cmd
}

// counter is a sink that counts what a consumer did.
type counter struct {
	events, deadLetters, detected int64
	example                       string // id of a trace, of a detection if one was traced
	bar                           *progressbar.ProgressBar
}

// Append counts a batch.
func (c *counter) Append(_ context.Context, batch *event.Batch) error {
	for i := range batch.Records {
		if batch.Records[i].Verdict.Class != event.Benign {
			c.detected++
		}
	}
	for _, s := range batch.Sampled {
		detected := batch.Records[s.Index].Verdict.Class != event.Benign
		if detected || c.example == "" {
			c.example = trace.SpanContextFromContext(s.Context).TraceID().String()
		}
		if detected {
			break
		}
	}
	_ = c.bar.Add(len(batch.Records)) // only fails past the total
	return nil
}

// classify is the pipeline's second half: consume, classify, and give to the
// sinks.
func (l *lab) classify(ctx context.Context, rules *sigma.RuleSet, how classifyFlags) (done counter, err error) {
	classifier := sigma.NewClassifier(rules)
	traces, err := tracing.Start(ctx, "classifier", l.otlp)
	if err != nil {
		return done, err
	}
	defer reportDropped(traces)
	defer traces.Close()
	results, err := store.Open(l.file(classifiedFile))
	if err != nil {
		return done, err
	}
	defer closing(&err, results.Close)
	done.bar = progress(l.waiting(ctx, how), "classify")
	defer done.bar.Exit()
	sinks := sink.All{results, &done, sink.Delay(how.delay)}
	if how.publish {
		publisher, refused := stream.NewPublisher(ctx, l.cluster)
		if refused != nil {
			return done, refused
		}
		defer closing(&err, publisher.Close)
		sinks = append(sink.All{publisher}, sinks...)
	}
	options := stream.ConsumerOptions{Cluster: l.cluster, Results: results, History: classifier.History(), Traces: traces}
	if how.delay > 0 {
		options.MaxBatch = max(1, int(time.Second/how.delay)) // about a second of work
	}
	consumer, err := stream.NewConsumer(ctx, options)
	if err != nil {
		return done, err
	}
	defer closing(&err, consumer.Close)

	consume := consumer.Drain
	if !how.drain {
		consume = consumer.Run
		fmt.Fprintf(stderr, "Classifying events of %s with %d rules until Ctrl-C.\n", stream.Raw, len(rules.Rules))
	}
	err = consume(ctx, func(ctx context.Context, batch *event.Batch) error { // kafka.consume
		classifier.Classify(ctx, batch) // classification
		return sinks.Append(ctx, batch) // storage.write
	})
	done.events, done.deadLetters = consumer.Counts()
	return done, err
}

// waiting is how many records there are to drain, -1 where the end is open.
func (l *lab) waiting(ctx context.Context, how classifyFlags) int64 {
	positions, err := l.cluster.Positions(ctx, stream.Group, stream.Raw)
	if err != nil || !how.drain {
		return -1
	}
	var lag int64
	for _, p := range positions {
		lag += p.Lag()
	}
	return max(lag, 1)
}
