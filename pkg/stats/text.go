package stats

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"soclab/pkg/human"
)

// topInText is how many sources WriteText lists.
const topInText = 10

// WriteText writes the summary as tables for a terminal.
func (s *Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s benign, %s detected (%s)\n",
		human.Counted(s.Events, "event"), human.Count(s.Benign), human.Count(s.Detected), percentText(percent(s.Detected, s.Events)))
	if s.Events > 0 {
		fmt.Fprintf(&b, "%s to %s UTC%s\n", s.First.Format(time.DateTime), s.Last.Format(time.DateTime), s.rate())
	}
	if s.Duplicates > 0 {
		fmt.Fprintf(&b, "%s passed over: their partition and offset were counted already\n", human.Counted(s.Duplicates, "duplicate row"))
	}
	if s.Repeated.Rows > 0 {
		about := ""
		if s.Repeated.Sampled {
			about = "about "
		}
		fmt.Fprintf(&b, "%s%s with an event.id that came before, published more than once: %s\n",
			about, human.Counted(s.Repeated.Rows, "row"), strings.Join(s.Repeated.Examples, ", "))
	}
	if s.Forgotten > 0 {
		fmt.Fprintf(&b, "too many sources: counts by source may be too low by %s\n", human.Counted(s.Forgotten, "event"))
	}
	if s.Torn > 0 {
		fmt.Fprintf(&b, "%s left out: being written\n", human.Counted(s.Torn, "unfinished last line"))
	}

	classes := newTextTable("<CLASS", ">EVENTS", ">SHARE")
	for _, c := range s.ByClass {
		classes.add(c.Class, human.Count(c.Events), percentText(c.Percent))
	}
	tactics := newTextTable("<TACTIC", "<ATT&CK "+s.Attack, ">DETECTIONS", ">SHARE")
	for _, t := range s.ByTactic {
		if t.Events > 0 {
			tactics.add(t.ID, t.Name, human.Count(t.Events), percentText(t.Percent))
		}
	}
	techniques := newTextTable("<TECHNIQUE", "<ATT&CK "+s.Attack, ">DETECTIONS", ">SHARE")
	for _, t := range s.ByTechnique {
		techniques.add(t.ID, t.Name, human.Count(t.Events), percentText(t.Percent))
	}
	partitions := newTextTable(">PARTITION", ">EVENTS", ">BENIGN", ">DETECTED", ">FIRST OFFSET", ">LAST OFFSET", ">MISSING")
	for _, p := range s.ByPartition {
		partitions.add(strconv.Itoa(p.Partition), human.Count(p.Events), human.Count(p.Benign), human.Count(p.Detected),
			strconv.Itoa(p.First), strconv.Itoa(p.Last), human.Count(p.Missing))
	}
	sources := newTextTable("<TOP SOURCE", ">EVENTS", ">SHARE", ">DETECTED")
	for _, source := range s.BySource[:min(topInText, len(s.BySource))] {
		sources.add(source.IP, human.Count(source.Events), percentText(source.Percent), human.Count(source.Detected))
	}
	latency := newTextTable("<LATENCY (record to row)", ">50 %", ">90 %", ">99 %", ">99.9 %", ">MAX")
	if l := s.Waiting; l.Events > 0 {
		latency.add(human.Counted(l.Events, "event"), human.Duration(l.P50), human.Duration(l.P90), human.Duration(l.P99), human.Duration(l.P999), human.Duration(l.Max))
	}
	for _, t := range []*textTable{classes, tactics, techniques, partitions, sources, latency} {
		t.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// rate is how many events came in a minute, where the log spans one.
func (s *Summary) rate() string {
	minutes := s.Last.Sub(s.First).Minutes()
	if minutes < 1 {
		return ""
	}
	return fmt.Sprintf(", %s a minute", human.Count(int(float64(s.Events)/minutes+0.5)))
}

// WriteText writes the scores as tables for a terminal.
func (s *Scores) WriteText(w io.Writer) error {
	var b strings.Builder
	all := ""
	if s.MacroF1All != s.MacroF1 {
		all = fmt.Sprintf(" (%.3f with those left out)", s.MacroF1All)
	}
	fmt.Fprintf(&b, "Macro F1 %.3f over %s%s; %s\n", s.MacroF1, human.Counted(s.Averaged, "technique"), all, s.falseAlarmText())
	if s.Unseen > 0 {
		fmt.Fprintf(&b, "%s of the truth not among the rows\n", human.Counted(s.Unseen, "attack event"))
	}
	scoreTable("TECHNIQUE", append(append([]Score{}, s.ByTechnique...), s.Overall)).write(&b)
	scoreTable("SCENARIO", s.ByScenario).write(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Scores) falseAlarmText() string {
	return fmt.Sprintf("%s, %.1f an hour, %.3f %% of benign events",
		human.Counted(s.FalseAlarms, "false alarm"), s.FalseAlarmsPerHour, s.FalseAlarmPercent)
}

func scoreTable(of string, scores []Score) *textTable {
	t := newTextTable("<"+of, "<", ">INCIDENTS", ">FOUND", ">RECALL", ">LABELLED", ">RIGHT", ">PRECISION", ">F1",
		">ROWS", ">ROW RECALL", ">DELAY", ">ROWS BEFORE")
	for _, s := range scores {
		name := s.Name
		if s.LeftOut {
			name = strings.TrimSpace(name + " (left out)")
		}
		delay, before := "", ""
		if s.Found > 0 {
			delay, before = human.Duration(s.Delay), human.Count(s.RowsBefore)
		}
		t.add(s.ID, name, human.Count(s.Incidents), human.Count(s.Found), fmt.Sprintf("%.2f", s.Recall),
			human.Count(s.Labelled), human.Count(s.Right), fmt.Sprintf("%.2f", s.Precision), fmt.Sprintf("%.2f", s.F1),
			human.Count(s.Rows), fmt.Sprintf("%.2f", s.RowRecall), delay, before)
	}
	return t
}

// textTable is a table of left- and right-aligned columns, two spaces apart.
type textTable struct {
	right []bool
	rows  [][]string // the header first
}

// newTextTable takes the header's cells, each after the side to which its
// column is aligned: < or >.
func newTextTable(header ...string) *textTable {
	t := &textTable{rows: make([][]string, 1)}
	for _, cell := range header {
		t.right = append(t.right, cell[0] == '>')
		t.rows[0] = append(t.rows[0], cell[1:])
	}
	return t
}

func (t *textTable) add(cells ...string) { t.rows = append(t.rows, cells) }

// write writes an empty line and the table, or nothing where it has no rows.
func (t *textTable) write(b *strings.Builder) {
	if len(t.rows) == 1 {
		return
	}
	widths := make([]int, len(t.right))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	b.WriteByte('\n')
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if t.right[i] {
				line.WriteString(pad + cell + "  ")
			} else {
				line.WriteString(cell + pad + "  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// compact is n in at most five characters, such as 9,999, 12k or 3.4M.
func compact(n int) string {
	switch {
	case n < 10_000:
		return human.Count(n)
	case n < 999_500:
		return fmt.Sprintf("%dk", (n+500)/1000)
	case n < 9_950_000:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0fM", float64(n)/1e6)
}

func percentText(percent float64) string { return fmt.Sprintf("%.2f %%", percent) }
