package main

import (
	"github.com/spf13/cobra"

	"soclab/internal/jupyter"
)

func newKernelCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "kernel CONNECTION_FILE",
		Short:  "Become the Go kernel of a notebook (JupyterLab starts it)",
		Hidden: true,
		Args:   arguments(cobra.ExactArgs(1)),
		RunE:   func(_ *cobra.Command, args []string) error { return jupyter.Kernel(args[0]) },
	}
}
