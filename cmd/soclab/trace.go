package main

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"soclab/pkg/jaeger"
	"soclab/pkg/store"
)

var traceID = regexp.MustCompile(`^[0-9a-f]{32}$`)

func newTraceCommand(s *shared) *cobra.Command {
	var backend string
	cmd := &cobra.Command{
		Use:   "trace EVENT_ID|TRACE_ID",
		Short: "Show the trace of one event as a tree with durations",
		Long: `Shows what happened to one event: when it was produced, how long it waited in the
queue, and how long consuming, classifying and storing it took. Traces come from
the stack's collector, or from the Jaeger that --jaeger or JAEGER_URL names.`,
		Example: `  soclab trace 4bf92f3577b34da6a3ce929d0e0e4736
  soclab trace CQhsO3uGtOfyrBlHh --jaeger http://localhost:16686`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			ctx := cmd.Context()
			l, err := s.open(ctx)
			if err != nil {
				return err
			}
			defer closing(&err, func() error { return l.close(ctx) })
			if backend != "" {
				l.jaeger = jaeger.New(backend)
			}
			id := args[0]
			find := l.jaeger.Event
			if traceID.MatchString(id) {
				find = l.jaeger.Trace
			}
			found, err := find(ctx, id)
			if errors.Is(err, jaeger.ErrNoTrace) {
				return fmt.Errorf("%w%s", err, l.why(id))
			}
			if err != nil {
				return err
			}
			if s.json {
				return writeJSON(cmd.OutOrStdout(), found)
			}
			return found.WriteTree(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&backend, "jaeger", "", "base URL of Jaeger (default JAEGER_URL, else the stack's collector)")
	return cmd
}

// why says what the results know of an event that has no trace.
func (l *lab) why(id string) string {
	for row, err := range store.Read(l.file(classifiedFile)) {
		if err != nil {
			break
		}
		if row.ID == id && row.TraceID == "" {
			return ": the event was not sampled (above 1,000 events a second, 100 traces a second are taken)"
		}
		if row.ID == id || row.TraceID == id {
			return ": the trace backend no longer has it, or the spans went elsewhere"
		}
	}
	return ": no event or trace in " + l.relative(classifiedFile) + " has this id"
}
