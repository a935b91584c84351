package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"soclab/pkg/stream"
)

func newResetCommand(s *shared) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Begin anew: empty topics, data put aside",
		Long: `Deletes the lab's topics, the consumer group's offsets and the traces of the stack
it is pointed at, and renames the CSV files to dated names. It asks first. Stop
producers and classifiers before.`,
		Example: `  soclab reset
  soclab reset --yes --brokers localhost:9092`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := cmd.Context()
			l, err := s.open(ctx)
			if err != nil {
				return err
			}
			defer closing(&err, func() error { return l.close(ctx) })
			if !yes {
				if !isatty.IsTerminal(os.Stdin.Fd()) {
					return usageErrorf("reset asks before it begins anew: give --yes where nobody can answer")
				}
				fmt.Fprintf(cmd.OutOrStdout(), "Delete topics and traces of %s, and put the data in %s aside? [y/N] ", l.where(), l.data)
				answer, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
				if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
					fmt.Fprintln(cmd.OutOrStdout(), "Nothing was changed.")
					return nil
				}
			}
			if err := l.cluster.Delete(ctx, stream.Group, stream.Raw, stream.Classified, stream.DeadLetter); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "Topics deleted.")
			if err := l.jaeger.Clear(ctx); err != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "Traces stay: %v\n", err)
			} else {
				fmt.Fprintln(cmd.OutOrStdout(), "Traces deleted.")
			}
			stamp := time.Now().UTC().Format("20060102T150405.000000Z")
			for _, name := range []string{rawFile, classifiedFile, truthFile} {
				aside := strings.TrimSuffix(name, ".csv") + "." + stamp + ".csv"
				err := os.Rename(l.file(name), l.file(aside))
				if errors.Is(err, os.ErrNotExist) {
					continue
				}
				if err != nil {
					return fmt.Errorf("put aside: %w", err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is now %s\n", l.relative(name), l.relative(aside))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask (default ask)")
	return cmd
}
