package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"soclab/pkg/human"
	"soclab/pkg/jaeger"
	"soclab/pkg/stats"
)

func newRunCommand(s *shared) *cobra.Command {
	var from sourceFlags
	how := classifyFlags{drain: true}
	var plots string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the whole pipeline: produce, classify, store, analyse",
		Long: `Sends events to Kafka, classifies and stores all that the topic holds, and prints
statistics of the results, scores where the truth is known, and the trace of one
event. It needs nothing but this program: without brokers it uses the embedded
stack, whose topics and traces stay in .soclab for the next run. Runs append.`,
		Example: `  soclab run
  soclab run --events 300000 --seed 42 --plots plots
  soclab run --input conn.log`,
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
			rules, err := how.rules.load(l.data) // what is wrong with them is told before anything is sent
			if err != nil {
				return err
			}
			fmt.Fprintf(stderr, "Source: %s\nThrough: %s\n", what, l.where())
			began := time.Now()
			sent, err := l.produce(ctx, source, from)
			if err != nil {
				return fmt.Errorf("%s sent, then: %w", human.Counted(sent, "event"), err)
			}
			fmt.Fprintf(stderr, "Produced %s in %s.\n", human.Counted(sent, "event"), human.Duration(time.Since(began)))
			began = time.Now()
			done, err := l.classify(ctx, rules, how)
			if err != nil {
				return err
			}
			fmt.Fprintf(stderr, "Classified %s in %s, %s of them detected; %s.\n\n",
				human.Counted(done.events, "event"), human.Duration(time.Since(began)), human.Count(done.detected), human.Counted(done.deadLetters, "dead letter"))
			r := report{Source: what, Sent: sent, Classified: done.events, DeadLetters: done.deadLetters, TraceID: done.example, lab: l}
			if err := r.analyse(ctx, plots); err != nil {
				return err
			}
			if s.json {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			return r.write(ctx, cmd.OutOrStdout())
		},
	}
	from.add(cmd)
	how.add(cmd)
	cmd.Flags().StringVar(&plots, "plots", "", "write the pictures to this folder (default none)")
	return cmd
}

// report is what a run did, and what the files hold after it.
type report struct {
	Source      string         `json:"source"`
	Sent        int            `json:"sent"`
	Classified  int64          `json:"classified"`
	DeadLetters int64          `json:"dead_letters"`
	Files       []string       `json:"files"`
	Statistics  *stats.Summary `json:"statistics"`
	Scores      *stats.Scores  `json:"scores,omitempty"`
	TraceID     string         `json:"trace_id,omitempty"`

	lab *lab
}

func (r *report) analyse(ctx context.Context, plots string) (err error) {
	l := r.lab
	for _, name := range []string{rawFile, classifiedFile, truthFile} {
		if _, err := os.Stat(l.file(name)); err == nil {
			r.Files = append(r.Files, l.relative(name))
		}
	}
	r.Statistics, r.Scores, err = analyse(ctx, l.file(truthFile), l.file(classifiedFile))
	if err != nil || plots == "" {
		return err
	}
	pictures, err := stats.SavePlots(plots, r.Statistics, r.Scores)
	r.Files = append(r.Files, pictures...)
	return err
}

func (r *report) write(ctx context.Context, w io.Writer) error {
	if err := r.Statistics.WriteText(w); err != nil {
		return err
	}
	if r.Scores != nil {
		fmt.Fprintln(w)
		if err := r.Scores.WriteText(w); err != nil {
			return err
		}
	}
	fmt.Fprintln(w, "\nFiles:")
	for _, file := range r.Files {
		fmt.Fprintln(w, " ", file)
	}
	if r.TraceID == "" {
		return nil
	}
	found, err := awaitTrace(ctx, r.lab.jaeger, r.TraceID)
	if err != nil {
		fmt.Fprintf(w, "\nNo trace to show: %v\n", err)
		return nil
	}
	fmt.Fprintln(w)
	if err := found.WriteTree(w); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\nOther events: soclab trace EVENT_ID, with an event.id of %s\n", r.lab.relative(classifiedFile))
	return err
}

// awaitTrace asks for a trace until the backend has taken in what was sent.
func awaitTrace(ctx context.Context, backend *jaeger.Client, id string) (jaeger.Trace, error) {
	for tries := 0; ; tries++ {
		found, err := backend.Trace(ctx, id)
		if !errors.Is(err, jaeger.ErrNoTrace) || tries == 20 {
			return found, err
		}
		if err := sleepUntil(ctx, time.Now().Add(100*time.Millisecond)); err != nil {
			return found, err
		}
	}
}
