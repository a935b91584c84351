package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"soclab/pkg/stats"
)

func newStatsCommand(s *shared) *cobra.Command {
	var plots string
	cmd := &cobra.Command{
		Use:   "stats [FILE ...]",
		Short: "Statistics, scores and plots of the results",
		Long: `Reads classified_packets.csv, or the files given (one per host, say), and prints
class distribution, tactics, techniques, processing counts, top sources and
latency. Each partition and offset counts once. Where truth.csv lies beside the
data, detections are scored against it.`,
		Example: `  soclab stats
  soclab stats --plots plots
  soclab stats --json host1/classified_packets.csv host2/classified_packets.csv`,
		RunE: func(cmd *cobra.Command, files []string) error {
			data, err := s.dataFolder()
			if err != nil {
				return err
			}
			l := &lab{data: data}
			if len(files) == 0 {
				files = []string{l.file(classifiedFile)}
				if _, err := os.Stat(files[0]); errors.Is(err, os.ErrNotExist) {
					return fmt.Errorf("%s does not exist: make it with `soclab run`", files[0])
				}
			}
			summary, scores, err := analyse(cmd.Context(), l.file(truthFile), files...)
			if err != nil {
				return err
			}
			var pictures []string
			if plots != "" {
				if pictures, err = stats.SavePlots(plots, summary, scores); err != nil {
					return err
				}
			}
			out := cmd.OutOrStdout()
			if s.json {
				return writeJSON(out, map[string]any{"statistics": summary, "scores": scores, "plots": pictures})
			}
			if err := summary.WriteText(out); err != nil {
				return err
			}
			if scores != nil {
				fmt.Fprintln(out)
				if err := scores.WriteText(out); err != nil {
					return err
				}
			}
			for _, picture := range pictures {
				fmt.Fprintln(out, "Plot:", picture)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&plots, "plots", "", "write the pictures to this folder (default none)")
	return cmd
}

// analyse counts the rows and, where there is truth, scores them.
func analyse(ctx context.Context, truthPath string, files ...string) (*stats.Summary, *stats.Scores, error) {
	if _, err := os.Stat(truthPath); errors.Is(err, os.ErrNotExist) {
		summary, err := stats.Read(ctx, files...)
		return summary, nil, err
	}
	scores, err := stats.Compare(ctx, truthPath, files...)
	if err != nil {
		return nil, nil, err
	}
	return scores.Summary, scores, nil
}
