package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"soclab/pkg/event"
	"soclab/pkg/sigma"
	"soclab/pkg/store"
	"soclab/pkg/stream"
	"soclab/pkg/tracing"
)

// classifyFlags say how the consumer works.
type classifyFlags struct {
	rules   ruleFlags
	drain   bool
	delay   time.Duration
	publish bool
}

func (f *classifyFlags) add(cmd *cobra.Command) {
	f.rules.add(cmd)
	cmd.Flags().BoolVar(&f.publish, "publish", true, "send the verdicts to "+stream.Classified)
}

func newClassifyCommand(s *shared) *cobra.Command {
	var how classifyFlags
	cmd := &cobra.Command{
		Use:   "classify",
		Short: "Consume events, classify them, store the results",
		Long: `Consumes events.raw as a member of the group "classifier", maps each event to
ATT&CK by the Sigma rules, sends the verdicts to events.classified, and appends
them to classified_packets.csv, each event exactly once. Start it several times
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
			done, err := l.classify(ctx, how)
			if err == nil || done.events+done.deadLetters > 0 {
				fmt.Fprintf(os.Stderr, "Classified %d events, %d of them detected; %d dead letters. Results: %s\n",
					done.events, done.detected, done.deadLetters, l.relative(classifiedFile))
			}
			return err
		},
	}
	how.add(cmd)
	cmd.Flags().BoolVar(&how.drain, "drain", false, "end when what the topic holds now is stored")
	cmd.Flags().DurationVar(&how.delay, "delay", 0, "wait so long on each event, for experiments")
	return cmd
}

// classified is what a consumer did.
type classified struct {
	events, deadLetters, detected int64
	example                       string // id of a trace, of a detection if one was traced
}

// classify is the pipeline's second half: consume, classify, store.
func (l *lab) classify(ctx context.Context, how classifyFlags) (done classified, err error) {
	rules, err := how.rules.load()
	if err != nil {
		return done, err
	}
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
	producer, err := stream.NewProducer(ctx, l.cluster, nil)
	if err != nil {
		return done, err
	}
	defer closing(&err, producer.Close)
	options := stream.ConsumerOptions{Cluster: l.cluster, Results: results, History: classifier.History(), Traces: traces}
	if how.delay > 0 {
		options.MaxBatch = max(1, int(time.Second/how.delay)) // about a second of work
	}
	consumer, err := stream.NewConsumer(ctx, options)
	if err != nil {
		return done, err
	}
	defer closing(&err, consumer.Close)

	bar := progress(l.waiting(ctx, how), "classify")
	defer bar.Exit()
	loop := func(ctx context.Context, batch *event.Batch) error { // kafka.consume
		verdicts := classifier.Classify(ctx, batch) // classification
		if how.publish {
			if err := producer.Publish(ctx, batch, verdicts); err != nil {
				return err
			}
		}
		if err := results.Append(ctx, batch, verdicts); err != nil { // storage.write
			return err
		}
		done.note(batch, verdicts)
		_ = bar.Add(len(verdicts)) // only fails past the total
		return slowly(ctx, how.delay*time.Duration(len(verdicts)))
	}
	if how.drain {
		err = consumer.Drain(ctx, loop)
	} else {
		fmt.Fprintf(os.Stderr, "Classifying events of %s with %d rules until Ctrl-C.\n", stream.Raw, len(rules.Rules))
		err = consumer.Run(ctx, loop)
	}
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

func slowly(ctx context.Context, delay time.Duration) error {
	if delay > 0 {
		return sleepUntil(ctx, time.Now().Add(delay))
	}
	return nil
}

func (c *classified) note(batch *event.Batch, verdicts []*event.Verdict) {
	for _, v := range verdicts {
		if v.RuleID != "" {
			c.detected++
		}
	}
	for _, s := range batch.Sampled {
		if verdicts[s.Index].RuleID != "" || c.example == "" {
			c.example = trace.SpanContextFromContext(s.Context).TraceID().String()
		}
		if verdicts[s.Index].RuleID != "" {
			return
		}
	}
}
