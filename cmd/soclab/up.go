package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"soclab/internal/address"
	"soclab/internal/folder"
	"soclab/internal/jupyter"
	"soclab/internal/stack"
)

// upFlags say what `up` starts and where it can be reached.
type upFlags struct {
	host        string
	port        int
	freePorts   bool
	browser     bool
	installOnly bool
}

func newUpCommand(s *shared) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the stack and JupyterLab with the notebooks until Ctrl-C",
		Long: `Runs the embedded stack, as "soclab stack" does, and JupyterLab with the three
notebooks and a Go kernel. The first start installs JupyterLab and the kernel, all
pinned, in .soclab (or SOCLAB_HOME), which takes some minutes, Python 3.11 or uv, and
the network; later ones take seconds and need no network. With --brokers (or
KAFKA_BROKERS) it runs JupyterLab alone, for that Kafka.

JupyterLab asks for a token that is drawn anew at each start and is part of the
printed URL; JUPYTER_TOKEN sets it.`,
		Example: `  soclab up
  soclab up --browser=false --port 9999
  soclab up --install-only          prepare everything, start nothing`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return s.up(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.host, "host", "127.0.0.1", "address that JupyterLab listens at")
	flags.IntVar(&f.port, "port", jupyter.Port, "port of JupyterLab, 0 for any free one")
	flags.BoolVar(&f.freePorts, "free-ports", false, "take any free ports for the stack (default 9092, 8080, 16686 and 4318)")
	flags.BoolVar(&f.browser, "browser", true, "open a browser")
	flags.BoolVar(&f.installOnly, "install-only", false, "install what is missing and end")
	return cmd
}

func (s *shared) up(cmd *cobra.Command, f upFlags) (err error) {
	ctx, out, progress := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	root, err := folder.Root()
	if err != nil {
		return err
	}
	home, err := folder.Home()
	if err != nil {
		return err
	}
	if f.installOnly {
		_, err := jupyter.Install(ctx, root, home, progress)
		return err
	}
	data, err := s.dataFolder()
	if err != nil {
		return err
	}
	if f.port < 0 || f.port > 65535 {
		return usageErrorf("--port %d: want 0 to 65535", f.port)
	}
	// The stack first: it tells at once of a port that is taken.
	env := []string{"SOCLAB_HOME=" + home, "SOCLAB_DATA=" + data}
	var running *stack.Stack
	if brokers, named := address.Brokers(s.brokers...); named {
		env = append(env, address.Kafka.Variable+"="+strings.Join(brokers, ","))
	} else {
		if running, err = stack.Use(ctx, stack.Options{FreePorts: f.freePorts}); err != nil {
			return err
		}
		defer closing(&err, func() error { return running.Close(context.WithoutCancel(ctx)) })
		env = append(env, running.Environ()...)
	}
	environment, err := jupyter.Install(ctx, root, home, progress)
	if err != nil {
		return err
	}
	log, err := os.Create(environment.LogFile())
	if err != nil {
		return fmt.Errorf("start JupyterLab: %w", err)
	}
	defer closing(&err, log.Close)
	lab, err := environment.Start(ctx, jupyter.Options{
		Host: f.host, Port: f.port, Token: os.Getenv("JUPYTER_TOKEN"), Env: env, Log: log,
	})
	if err != nil {
		return err
	}
	defer closing(&err, lab.Stop)

	if s.json {
		addresses := struct {
			JupyterLab string `json:"jupyterlab"`
			*stack.Addresses
		}{JupyterLab: lab.URL}
		if running != nil {
			addresses.Addresses = &running.Addresses
		}
		err = writeJSON(out, addresses)
	} else {
		if running != nil {
			fmt.Fprintf(out, "Kafka       %s\nTopics      %s\nTraces      %s\n", strings.Join(running.Brokers, ","), running.Console, running.Jaeger)
		}
		_, err = fmt.Fprintf(out, "JupyterLab  %s\nCtrl-C stops all of it.\n", lab.URL)
	}
	if err != nil {
		return err
	}
	if f.browser {
		openBrowser(lab.URL)
	}
	select {
	case <-ctx.Done():
		return nil
	case <-lab.Exited():
		return errors.New("JupyterLab ended by itself: see " + environment.LogFile())
	}
}

// openBrowser shows a page in the user's browser, if there is one: the page's
// address is printed in any case.
func openBrowser(page string) {
	openers := []string{"xdg-open"}
	switch {
	case runtime.GOOS == "darwin":
		openers = []string{"open"}
	case os.Getenv("WSL_DISTRO_NAME") != "":
		openers = []string{"wslview", "xdg-open"}
	}
	for _, opener := range openers {
		browser := exec.Command(opener, page)
		if browser.Start() == nil {
			go func() { _ = browser.Wait() }() // it ends when the browser has taken the page
			return
		}
	}
}
