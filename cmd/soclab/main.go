// Command soclab is the lab without notebooks: the same pipeline, stage by
// stage or in one go, and the stack that it needs.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"soclab/pkg/attack"
)

const version = "0.1.0"

func main() {
	log.SetFlags(0) // what the packages log is for the user: no time before it
	log.SetOutput(stderr)
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		ends = append(ends, syscall.SIGHUP) // the terminal was closed
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	command, err := newRootCommand().ExecuteContextC(ctx)
	stop()
	if err == nil { // what was asked for must have been shown, too
		err = stdout.err
	}
	var usage usageError
	switch {
	case err == nil:
		return
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "soclab: %v\nSee `%s --help`.\n", err, command.CommandPath())
		os.Exit(2)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "soclab: stopped; what has reached Kafka is kept, and the next `soclab classify` or `soclab run` goes on with it")
		os.Exit(130)
	default:
		fmt.Fprintf(stderr, "soclab: %v\n", err)
		os.Exit(1)
	}
}

// usageError is a wrong command line.
type usageError struct{ error }

func usageErrorf(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// arguments makes the errors of a check of positional arguments usage errors.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// shared are the flags that all commands have.
type shared struct {
	data    string
	brokers []string
	json    bool
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "soclab",
		Short: "A laboratory for event-driven security pipelines",
		Long: `soclab sends network events through Kafka, maps them to MITRE ATT&CK by Sigma
rules, stores the results in a CSV file exactly once, and follows single events
with traces. Without --brokers (or KAFKA_BROKERS) it uses the stack that
"soclab stack" or "soclab up" runs, else one of its own for as long as it needs.`,
		Example: `  soclab run                                     the whole pipeline on generated traffic
  soclab run --input conn.log                    ... on a Zeek log
  soclab up                                      JupyterLab with the notebooks
  soclab stats --plots plots                     tables and pictures of the results
  soclab trace 5c3f8a2b61d94e0f8a7b6c5d4e3f2a1b  what happened to one event, and when`,
		Version:       fmt.Sprintf("%s, MITRE ATT&CK %s", version, attack.Version),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          arguments(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	s := &shared{}
	flags := root.PersistentFlags()
	flags.StringVar(&s.data, "data", "", "folder of the CSV files (default SOCLAB_DATA, else data in the repository)")
	flags.StringSliceVar(&s.brokers, "brokers", nil, "Kafka brokers, host:port (default KAFKA_BROKERS, else the embedded stack)")
	flags.BoolVar(&s.json, "json", false, "print JSON instead of tables")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true

	const start, stages, look = "start", "stages", "look"
	root.AddGroup(
		&cobra.Group{ID: start, Title: "Start here:"},
		&cobra.Group{ID: stages, Title: "The pipeline, stage by stage:"},
		&cobra.Group{ID: look, Title: "Look at it:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(start, newRunCommand(s), newUpCommand(s), newStackCommand(s))
	add(stages, newProduceCommand(s), newClassifyCommand(s), newStatsCommand(s))
	add(look, newTopicsCommand(s), newTraceCommand(s), newRulesCommand(s))
	root.AddCommand(newResetCommand(s), newDoctorCommand(s), newURLCommand(s), newKernelCommand())
	return root
}
