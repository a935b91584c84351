package main

import (
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"soclab/internal/message"
	"soclab/pkg/stream"
)

func newTopicsCommand(s *shared) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "List topics with partitions, offsets and lag; peek at messages",
		Example: `  soclab topics
  soclab topics peek events.raw
  soclab topics peek events.deadletter --partition 1 --offset 0 --count 3`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := cmd.Context()
			l, err := s.open(ctx)
			if err != nil {
				return err
			}
			defer closing(&err, func() error { return l.close(ctx) })
			positions, err := l.cluster.Positions(ctx, stream.Group)
			if err != nil {
				return err
			}
			if s.json {
				return writeJSON(cmd.OutOrStdout(), positions)
			}
			if len(positions) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "No topics yet: `soclab produce` makes them.")
				return nil
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', tabwriter.AlignRight)
			fmt.Fprintf(w, "TOPIC\tPARTITION\tFIRST\tEND\tRECORDS\tCOMMITTED\tLAG\t\n")
			for _, p := range positions {
				committed, lag := "", ""
				if p.Committed >= 0 {
					committed, lag = strconv.FormatInt(p.Committed, 10), strconv.FormatInt(p.Lag(), 10)
				}
				fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t\n", p.Topic, p.Partition, p.First, p.End, p.End-p.First, committed, lag)
			}
			fmt.Fprintf(w, "\t\t\t\t\t\t\t(group %s)\n", stream.Group)
			return w.Flush()
		},
	}
	cmd.AddCommand(newPeekCommand(s))
	return cmd
}

func newPeekCommand(s *shared) *cobra.Command {
	var partition, count int
	var offset int64
	cmd := &cobra.Command{
		Use:   "peek TOPIC",
		Short: "Show messages of a topic: partition, offset, time, key, headers, value",
		Long: `Shows the newest messages of each partition, or of one partition from an offset
on. It belongs to no consumer group: looking changes nothing.`,
		Example: `  soclab topics peek events.raw
  soclab topics peek events.classified --partition 0 --offset 100 --count 2`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if count < 1 {
				return usageErrorf("--count %d: want at least 1", count)
			}
			ctx := cmd.Context()
			l, err := s.open(ctx)
			if err != nil {
				return err
			}
			defer closing(&err, func() error { return l.close(ctx) })
			positions, err := l.cluster.Positions(ctx, "", args[0])
			if err != nil {
				return err
			}
			if partition < -1 || partition >= len(positions) {
				return usageErrorf("--partition %d: %s has partitions 0 to %d", partition, args[0], len(positions)-1)
			}
			messages := []message.Message{}
			for _, p := range positions {
				if partition >= 0 && p.Partition != partition {
					continue
				}
				from := max(p.First, p.End-int64(count))
				if cmd.Flags().Changed("offset") {
					from = offset
				}
				n := 0
				for m, err := range l.cluster.Messages(ctx, args[0], p.Partition, from) {
					if err != nil {
						return err
					}
					messages = append(messages, message.New(m))
					if n++; n == count {
						break
					}
				}
			}
			if s.json {
				return writeJSON(cmd.OutOrStdout(), messages)
			}
			for _, m := range messages {
				fmt.Fprintf(cmd.OutOrStdout(), "%s/%d@%d  %s  key %s\n", args[0], m.Partition, m.Offset, m.Time.Format(time.RFC3339Nano), m.Key)
				for _, h := range m.Headers {
					fmt.Fprintf(cmd.OutOrStdout(), "  %s: %s\n", h.Key, h.Value)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "  %s\n", m.Value)
			}
			if len(messages) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "No messages there.")
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&partition, "partition", -1, "of this partition only, -1 for all")
	cmd.Flags().Int64Var(&offset, "offset", 0, "from this offset on (default the newest)")
	cmd.Flags().IntVar(&count, "count", 1, "how many of each partition")
	return cmd
}
