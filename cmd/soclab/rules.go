package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"soclab/pkg/event"
	"soclab/pkg/human"
	"soclab/pkg/sensor"
	"soclab/pkg/sigma"
)

func newRulesCommand(s *shared) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "List the detection rules, check and test your own",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Example: `  soclab rules list
  soclab rules check my-rules
  soclab rules test my-rules/telnet.yml data/raw_packets.csv`,
	}
	cmd.AddCommand(newRulesListCommand(s), newRulesCheckCommand(s), newRulesTestCommand(s))
	return cmd
}

// ruleLine is a rule in a list.
type ruleLine struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Tactics     []string `json:"tactics"`
	Techniques  []string `json:"techniques"`
	Level       string   `json:"level"`
	Correlation bool     `json:"correlation"`
	User        bool     `json:"user"`
	File        string   `json:"file"`
}

func newRulesListCommand(s *shared) *cobra.Command {
	var from ruleFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List all rules: id, title, tactic, technique, level",
		Example: `  soclab rules list
  soclab rules list --rules my-rules --json`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := s.dataFolder()
			if err != nil {
				return err
			}
			rules, err := from.load(data)
			if err != nil {
				return err
			}
			lines := make([]ruleLine, 0, len(rules.Rules))
			for _, r := range rules.Rules {
				line := ruleLine{ID: r.ID, Title: r.Title, Tactics: []string{}, Techniques: []string{}, Level: r.Level, Correlation: r.Correlation != nil, User: r.User, File: r.File}
				for _, t := range r.Tactics {
					line.Tactics = append(line.Tactics, t.Name)
				}
				for _, t := range r.Techniques {
					line.Techniques = append(line.Techniques, t.ID)
				}
				lines = append(lines, line)
			}
			if s.json {
				return writeJSON(cmd.OutOrStdout(), lines)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tTITLE\tTACTIC\tTECHNIQUE\tLEVEL")
			for _, l := range lines {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.ID, l.Title, strings.Join(l.Tactics, ", "), strings.Join(l.Techniques, ", "), l.Level)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d rules\n", len(lines))
			return err
		},
	}
	from.add(cmd)
	return cmd
}

func newRulesCheckCommand(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "check DIR",
		Short: "Check your own rules: what would be refused, and why",
		Long: `Loads all rules of a folder and those below it, and lists by file and line what is
wrong or not supported. The exit status is 0 only if all of them can be used.`,
		Example: `  soclab rules check my-rules`,
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := sigma.Load(args[0])
			if set == nil {
				return err
			}
			refused := sigma.Problems(err)
			if s.json {
				out := map[string]any{"usable": len(set.Rules), "refused": texts(refused), "warnings": texts(set.Warnings)}
				if err := writeJSON(cmd.OutOrStdout(), out); err != nil {
					return err
				}
			} else {
				for _, p := range refused {
					fmt.Fprintln(cmd.OutOrStdout(), "refused:", p)
				}
				for _, p := range set.Warnings {
					fmt.Fprintln(cmd.OutOrStdout(), "warning:", p)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "Usable: %d, refused: %d, warnings: %d\n", len(set.Rules), len(refused), len(set.Warnings))
			}
			switch {
			case len(refused) > 0:
				return fmt.Errorf("not all rules of %s can be used", args[0])
			case err == nil && len(set.Rules) == 0:
				return fmt.Errorf("%s holds no rules: want files *.yml or *.yaml", args[0])
			}
			return err
		},
	}
}

func texts(problems []*sigma.Problem) []string {
	list := make([]string, 0, len(problems))
	for _, p := range problems {
		list = append(list, p.Error())
	}
	return list
}

func newRulesTestCommand(s *shared) *cobra.Command {
	var most int
	var from ruleFlags
	cmd := &cobra.Command{
		Use:   "test RULE FILE",
		Short: "Try the rules of one file on a file of events",
		Long: `Tries each rule of a Sigma file on the events of a file (raw_packets.csv or Zeek's
conn.log), without Kafka, and shows for each match the fields that matched and,
for a correlation, the events in its window.`,
		Example: `  soclab rules test my-rules/telnet.yml data/raw_packets.csv
  soclab rules test my-rules/sweep.yml conn.log --matches 20`,
		Args: arguments(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			options, err := from.options()
			if err != nil {
				return err
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read the rule: %w", err)
			}
			set, err := sigma.Parse(filepath.Base(args[0]), text, options...)
			if err != nil {
				return err
			}
			trials := make([]*trial, 0, len(set.Rules))
			for _, rule := range set.Rules {
				trials = append(trials, &trial{Trial: sigma.NewTrial(rule), Rule: rule.Title, Matches: []match{}})
			}
			source, err := sensor.Open(args[1])
			if err != nil {
				return err
			}
			defer closing(&err, source.Close)
			bar := sourceBar(source)
			defer bar.Exit()
			for {
				e, err := source.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					return err
				}
				if err := cmd.Context().Err(); err != nil {
					return err
				}
				for _, t := range trials {
					t.Events++
					if explanation, ok := t.Event(*e); ok {
						if t.Matched++; t.Matched <= most {
							t.Matches = append(t.Matches, newMatch(e, explanation))
						}
					}
				}
				showSource(bar, source)
			}
			if err := bar.Finish(); err != nil {
				return err
			}
			if s.json {
				return writeJSON(cmd.OutOrStdout(), trials)
			}
			for _, t := range trials {
				t.write(cmd.OutOrStdout())
			}
			return nil
		},
	}
	from.addHome(cmd)
	cmd.Flags().IntVar(&most, "matches", 5, "how many matches of each rule to show")
	return cmd
}

// trial is a rule that is tried, and what came of it.
type trial struct {
	*sigma.Trial `json:"-"`
	Rule         string  `json:"rule"`
	Events       int     `json:"events"`
	Matched      int     `json:"matched"`
	Matches      []match `json:"matches"` // the first ones
}

// match is an event that a rule matched, and why.
type match struct {
	Event   string         `json:"event.id"`
	Time    time.Time      `json:"@timestamp"`
	Source  string         `json:"source.ip"`
	Reasons []sigma.Reason `json:"reasons"`
	Window  []string       `json:"window,omitempty"` // ids of the events that a correlation counted
}

func newMatch(e *event.Event, why sigma.Explanation) match {
	m := match{Event: e.ID, Time: e.Timestamp, Reasons: why.Reasons}
	if e.Source.IP.IsValid() {
		m.Source = e.Source.IP.String()
	}
	for i := range why.Window {
		m.Window = append(m.Window, why.Window[i].ID)
	}
	return m
}

func (t *trial) write(w io.Writer) {
	fmt.Fprintf(w, "%s: matches %s of %s\n", t.Rule, human.Count(t.Matched), human.Counted(t.Events, "event"))
	for _, m := range t.Matches {
		fmt.Fprintf(w, "  %s  %s  from %s\n", m.Time.Format(time.RFC3339), m.Event, m.Source)
		for _, r := range m.Reasons {
			fmt.Fprintf(w, "    %s: %s = %s\n", r.Selection, r.Field, human.Printable(r.Value))
		}
		if n := len(m.Window); n > 0 {
			const shown = 10
			fmt.Fprintf(w, "    window of %s: %s", human.Counted(n, "event"), strings.Join(m.Window[max(0, n-shown):], " "))
			if n > shown {
				fmt.Fprintf(w, " (the last %d)", shown)
			}
			fmt.Fprintln(w)
		}
	}
}
