package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"soclab/pkg/event"
	"soclab/pkg/human"
	"soclab/pkg/sensor"
	"soclab/pkg/store"
	"soclab/pkg/stream"
	"soclab/pkg/tracing"
	"soclab/pkg/traffic"
)

// The files of the data folder.
const (
	rawFile        = "raw_packets.csv"
	classifiedFile = "classified_packets.csv"
	truthFile      = "truth.csv"
)

// sourceFlags say where events come from.
type sourceFlags struct {
	input  string
	events int
	seed   uint64
	start  string
	share  float64
	rate   int
}

func (f *sourceFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.input, "input", "", "file of events instead of generated ones: raw_packets.csv or a sensor's log, such as Zeek's conn.log, also .gz or .zst")
	flags.IntVar(&f.events, "events", 10_000, "how many events to generate")
	flags.Uint64Var(&f.seed, "seed", 0, "seed of the generator (default drawn and printed)")
	flags.StringVar(&f.start, "start", "", "time of the first generated event, such as 2026-03-01T08:00:00Z (default now)")
	flags.Float64Var(&f.share, "attack-share", traffic.DefaultAttackShare, "share of attack events among the generated, 0 to 0.5")
	flags.IntVar(&f.rate, "rate", 0, "events a second (default as fast as it goes)")
}

// source yields events, one after the other.
type source interface {
	// Next returns the next event, or io.EOF after the last. The event is
	// valid until the next call; its strings may be kept.
	Next() (*event.Event, error)
	Close() error
}

// truthful is a source that knows which of its events are attacks.
type truthful interface{ Truth() *event.Truth }

// measured is a source that knows how far it is.
type measured interface{ Progress() (done, all int64) }

// open opens the source and says what it is.
func (f *sourceFlags) open(cmd *cobra.Command) (source, string, error) {
	if f.rate < 0 {
		return nil, "", usageErrorf("--rate %d: want events a second, 0 for no limit", f.rate)
	}
	if f.input != "" {
		for _, name := range []string{"events", "seed", "start", "attack-share"} {
			if cmd.Flags().Changed(name) {
				return nil, "", usageErrorf("--%s is for generated events and does not go with --input", name)
			}
		}
		file, err := sensor.Open(f.input)
		if err != nil {
			return nil, "", err
		}
		return file, fmt.Sprintf("%s, %s", f.input, file.Format()), nil
	}
	if !cmd.Flags().Changed("seed") {
		f.seed = rand.Uint64()
	}
	start := time.Now().UTC().Truncate(time.Second)
	if f.start != "" {
		var err error
		if start, err = time.Parse(time.RFC3339, f.start); err != nil {
			return nil, "", usageErrorf("--start %q: want a time such as 2026-03-01T08:00:00Z", f.start)
		}
	}
	generator, err := traffic.NewGenerator(traffic.Options{Seed: f.seed, Start: start, Events: f.events, AttackShare: f.share})
	if err != nil {
		return nil, "", usageError{err}
	}
	return generator, fmt.Sprintf("generated: --events %d --seed %d --start %s --attack-share %g",
		f.events, f.seed, start.Format(time.RFC3339Nano), f.share), nil
}

func newProduceCommand(s *shared) *cobra.Command {
	var from sourceFlags
	cmd := &cobra.Command{
		Use:   "produce",
		Short: "Send events to Kafka, generated or from a file",
		Long: `Sends events to the topic events.raw, keyed by source.ip. They are recorded in
raw_packets.csv, and what is known of generated attacks in truth.csv, before
they are sent. The producer does not know who will process them.`,
		Example: `  soclab produce --events 50000 --seed 7
  soclab produce --rate 200 --events 12000       a minute of traffic, as it comes
  soclab produce --input conn.log.gz`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			source, what, err := from.open(cmd)
			if err != nil {
				return err
			}
			defer closing(&err, source.Close)
			ctx := cmd.Context()
			l, err := s.open(ctx)
			if err != nil {
				return err
			}
			defer closing(&err, func() error { return l.close(ctx) })
			fmt.Fprintf(stderr, "Source: %s\n", what)
			sent, err := l.produce(ctx, source, from)
			fmt.Fprintf(stderr, "Sent %s to %s through %s.\n", human.Counted(sent, "event"), stream.Raw, l.where())
			return err
		},
	}
	from.add(cmd)
	return cmd
}

// produce records and sends all events of a source and returns how many.
func (l *lab) produce(ctx context.Context, source source, from sourceFlags) (sent int, err error) {
	traces, err := tracing.Start(ctx, "producer", l.otlp)
	if err != nil {
		return 0, err
	}
	defer reportDropped(traces)
	defer traces.Close()
	producer, err := stream.NewProducer(ctx, l.cluster, traces)
	if err != nil {
		return 0, err
	}
	defer closing(&err, producer.Close)
	recorder, err := l.recorder(from.input)
	if err != nil {
		return 0, err
	}
	defer closing(&err, recorder.Close)

	bar := sourceBar(source)
	defer bar.Exit()
	sent, err = sendAll(ctx, source, recorder, from.rate, func(ctx context.Context, events ...event.Event) error {
		defer showSource(bar, source)
		return producer.Send(ctx, events...)
	})
	return sent, errors.Join(err, bar.Finish())
}

// sendAll records and sends the events of a source, in this order, and returns
// how many were sent: at full speed, or so many a second.
func sendAll(ctx context.Context, source source, recorder *store.Recorder, rate int,
	send func(context.Context, ...event.Event) error) (sent int, err error) {
	size, began := 10_000, time.Now()
	if rate > 0 {
		size = min(max(1, rate/10), size)
	}
	truth, _ := source.(truthful)
	chunk, attacks := make([]event.Event, 0, size), make([]*event.Truth, 0, size)
	for {
		chunk, attacks = chunk[:0], attacks[:0]
		var ended error
		for len(chunk) < size {
			var e *event.Event
			if e, ended = source.Next(); ended != nil {
				break
			}
			var attack *event.Truth
			if truth != nil {
				attack = truth.Truth()
			}
			chunk, attacks = append(chunk, *e), append(attacks, attack)
		}
		if ended != nil && ended != io.EOF {
			return sent, ended // what was read of this chunk is neither recorded nor sent: mend the file and send it whole
		}
		for i := range chunk {
			if err := recorder.Record(&chunk[i], attacks[i]); err != nil {
				return sent, err
			}
		}
		if len(chunk) > 0 {
			if err := recorder.Flush(); err != nil {
				return sent, err
			}
			if err := send(ctx, chunk...); err != nil {
				return sent, err
			}
			sent += len(chunk)
		}
		if ended == io.EOF {
			return sent, nil
		}
		if rate > 0 {
			due := began.Add(time.Duration(sent) * time.Second / time.Duration(rate))
			if err := sleepUntil(ctx, due); err != nil {
				return sent, err
			}
		}
	}
}

func sleepUntil(ctx context.Context, due time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(due)):
		return nil
	}
}

func sourceBar(source source) *progressbar.ProgressBar {
	total := int64(-1)
	if m, ok := source.(measured); ok {
		_, total = m.Progress()
	}
	return progress(total, "produce ")
}

func showSource(bar *progressbar.ProgressBar, source source) {
	if m, ok := source.(measured); ok {
		done, _ := m.Progress()
		_ = bar.Set64(done) // only fails past the total
	}
}

// recorder records the events of a source. raw_packets.csv is not recorded in
// itself.
func (l *lab) recorder(input string) (*store.Recorder, error) {
	raw, truth := l.file(rawFile), l.file(truthFile)
	if input != "" {
		truth = ""
	}
	if sameFile(input, raw) {
		raw = ""
	}
	return store.NewRecorder(raw, truth)
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// reportDropped tells of spans that the trace backend did not take.
func reportDropped(traces *tracing.Traces) {
	if exported, dropped := traces.Counts(); dropped > 0 {
		reason := traces.Err()
		if reason == nil {
			reason = errors.New("more came than it took, and the queue was full")
		}
		fmt.Fprintf(stderr, "Traces: %s exported, %s dropped: the trace backend was away or too slow (%v). The pipeline was not affected.\n",
			human.Counted(exported, "span"), human.Count(dropped), reason)
	}
}

func (l *lab) relative(name string) string {
	path := l.file(name)
	if dir, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(dir, path); err == nil && len(short) < len(path) {
			return short
		}
	}
	return path
}
