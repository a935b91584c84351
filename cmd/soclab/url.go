package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"soclab/internal/folder"
	"soclab/internal/jupyter"
)

func newURLCommand(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "url",
		Short: "Print the address of the running JupyterLab, with its token",
		Long: `Prints what to open in a browser: the address of the JupyterLab that "soclab up"
or the compose stack runs, with the token that it asks for. It fails where none
answers.`,
		Example: `  soclab url
  docker compose exec jupyter soclab url`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := folder.Home()
			if err != nil {
				return err
			}
			address, err := jupyter.Running(cmd.Context(), home)
			if err != nil {
				return err
			}
			if s.json {
				return writeJSON(cmd.OutOrStdout(), map[string]string{"jupyterlab": address})
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), address)
			return err
		},
	}
}
