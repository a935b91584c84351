package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"soclab/internal/address"
	"soclab/internal/folder"
	"soclab/internal/stack"
	"soclab/pkg/jaeger"
	"soclab/pkg/sigma"
	"soclab/pkg/stream"
)

// lab is where a command works: its data, and a stack that it was told of,
// joined or started.
type lab struct {
	data    string
	cluster stream.Cluster
	otlp    string // base URL; empty: the OTEL_* variables
	jaeger  *jaeger.Client
	stack   *stack.Stack // nil where brokers were given
}

// open finds the lab's folders and its stack. The caller must close it.
func (s *shared) open(ctx context.Context) (*lab, error) {
	l := &lab{}
	var err error
	if l.data, err = s.dataFolder(); err != nil {
		return nil, err
	}
	if brokers, named := address.Brokers(s.brokers...); named {
		l.cluster.Brokers = brokers
		l.jaeger = jaeger.New("")
		return l, nil
	}
	l.stack, err = stack.Use(ctx, stack.Options{FreePorts: true})
	if err != nil {
		return nil, err
	}
	// A trace backend that the environment names goes before the stack's own.
	l.cluster.Brokers = l.stack.Brokers
	l.otlp = cmp.Or(os.Getenv(address.OTLP.Variable), l.stack.OTLP)
	l.jaeger = jaeger.New(cmp.Or(os.Getenv(address.Jaeger.Variable), l.stack.Jaeger))
	return l, nil
}

func (s *shared) dataFolder() (string, error) {
	if s.data == "" {
		return folder.Data()
	}
	if err := os.MkdirAll(s.data, 0o755); err != nil {
		return "", fmt.Errorf("create the data folder: %w", err)
	}
	return s.data, nil
}

// close leaves the stack, or stops it when nobody else uses it.
func (l *lab) close(ctx context.Context) error {
	if l.stack == nil {
		return nil
	}
	if busy, err := l.stack.Shared(ctx); err == nil && busy {
		fmt.Fprintln(stderr, "Other commands use this stack: waiting for them (Ctrl-C stops it).")
	}
	// A stop that came before must not keep the stack from closing its files.
	return l.stack.Close(ctx)
}

// closing adds the error of a close to that of the function it is deferred in.
func closing(err *error, close func() error) { *err = errors.Join(*err, close()) }

func (l *lab) file(name string) string { return filepath.Join(l.data, name) }

func (l *lab) where() string {
	switch {
	case l.stack == nil:
		return "Kafka at " + strings.Join(l.cluster.Brokers, ",")
	case l.stack.Owned():
		return "embedded Kafka at " + l.stack.Brokers[0]
	default:
		return "the running stack's Kafka at " + l.stack.Brokers[0]
	}
}

// ruleFlags say which rules there are, and what is at home for them.
type ruleFlags struct {
	dir  string
	home []string
}

func (f *ruleFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "rules", "", "folder of your own Sigma rules, added to the default ones (default SOCLAB_RULES, else rules in the data folder)")
	f.addHome(cmd)
}

func (f *ruleFlags) addHome(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.home, "home-net", nil, "your networks, such as 147.32.0.0/16: what %home_net% stands for in rules (default the private ranges)")
}

func (f *ruleFlags) options() ([]sigma.LoadOption, error) {
	if len(f.home) == 0 {
		return nil, nil
	}
	for _, network := range f.home {
		if _, err := netip.ParsePrefix(network); err != nil {
			return nil, usageErrorf("--home-net %q: want networks such as 147.32.0.0/16,2001:db8::/32", network)
		}
	}
	return []sigma.LoadOption{sigma.Placeholder("home_net", f.home...)}, nil
}

// load loads the default rules and the user's: those of --rules, else those
// that the lab over the data folder has.
func (f *ruleFlags) load(data string) (*sigma.RuleSet, error) {
	options, err := f.options()
	if err != nil {
		return nil, err
	}
	dir := f.dir
	if dir == "" {
		dir, err = folder.Rules(data)
	} else {
		_, err = os.Stat(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	return sigma.Rules(dir, options...)
}

// progress shows how far long work is: a bar on a terminal, nothing elsewhere.
// Work of unknown length has total -1.
func progress(total int64, what string) *progressbar.ProgressBar {
	terminal := isatty.IsTerminal(os.Stderr.Fd())
	return progressbar.NewOptions64(total,
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetVisibility(terminal),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("events"),
		progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100_000_000), progressbar.OptionClearOnFinish())
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false) // it is read by people and programs, not by browsers
	return encoder.Encode(value)
}
