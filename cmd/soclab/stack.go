package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"soclab/internal/stack"
)

func newStackCommand(s *shared) *cobra.Command {
	var freePorts bool
	cmd := &cobra.Command{
		Use:   "stack",
		Short: "Run Kafka, the trace collector and their pages until Ctrl-C",
		Long: `Runs the embedded stack in the foreground on the ports of the compose stack. Other
soclab commands and the notebooks find it by themselves. What it holds stays in
.soclab (or SOCLAB_HOME) for the next start.`,
		Example: `  soclab stack
  soclab stack --free-ports        beside a compose stack`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			running, err := stack.Start(ctx, stack.Options{FreePorts: freePorts})
			if err != nil {
				return err
			}
			if s.json {
				err = writeJSON(cmd.OutOrStdout(), running.Addresses)
			} else {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Kafka    %s\nTopics   %s\nTraces   %s\nOTLP     %s\nCtrl-C stops the stack.\n",
					strings.Join(running.Brokers, ","), running.Console, running.Jaeger, running.OTLP)
			}
			if err == nil {
				<-ctx.Done()
			}
			closing(&err, func() error { return running.Close(ctx) })
			return err
		},
	}
	cmd.Flags().BoolVar(&freePorts, "free-ports", false, "take any free ports (default 9092, 8080, 16686 and 4318)")
	return cmd
}
