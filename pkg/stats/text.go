package stats

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// topInText is how many sources WriteText lists.
const topInText = 10

// WriteText writes the summary as tables for a terminal.
func (s *Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s benign, %s detected (%s)\n",
		counted(s.Events, "event"), thousands(s.Benign), thousands(s.Detected), percentText(percent(s.Detected, s.Events)))
	if s.Events > 0 {
		fmt.Fprintf(&b, "%s to %s UTC%s\n", s.First.Format(time.DateTime), s.Last.Format(time.DateTime), s.rate())
	}
	if s.Duplicates > 0 {
		fmt.Fprintf(&b, "%s passed over: their partition and offset were counted already\n", counted(s.Duplicates, "duplicate row"))
	}
	if s.Repeated.Rows > 0 {
		about := ""
		if s.Repeated.Sampled {
			about = "about "
		}
		fmt.Fprintf(&b, "%s%s with an event.id that came before, published more than once: %s\n",
			about, counted(s.Repeated.Rows, "row"), strings.Join(s.Repeated.Examples, ", "))
	}
	if s.Forgotten > 0 {
		fmt.Fprintf(&b, "too many sources: counts by source may be too low by %s\n", counted(s.Forgotten, "event"))
	}
	if s.Torn > 0 {
		fmt.Fprintf(&b, "%s left out: being written\n", counted(s.Torn, "unfinished last line"))
	}

	classes := newTextTable("<CLASS", ">EVENTS", ">SHARE")
	for _, c := range s.ByClass {
		classes.add(c.Class, thousands(c.Events), percentText(c.Percent))
	}
	tactics := newTextTable("<TACTIC", "<ATT&CK "+s.Attack, ">DETECTIONS", ">SHARE")
	for _, t := range s.ByTactic {
		if t.Events > 0 {
			tactics.add(t.ID, t.Name, thousands(t.Events), percentText(t.Percent))
		}
	}
	techniques := newTextTable("<TECHNIQUE", "<ATT&CK "+s.Attack, ">DETECTIONS", ">SHARE")
	for _, t := range s.ByTechnique {
		techniques.add(t.ID, t.Name, thousands(t.Events), percentText(t.Percent))
	}
	partitions := newTextTable(">PARTITION", ">EVENTS", ">BENIGN", ">DETECTED", ">FIRST OFFSET", ">LAST OFFSET", ">MISSING")
	for _, p := range s.ByPartition {
		partitions.add(strconv.Itoa(p.Partition), thousands(p.Events), thousands(p.Benign), thousands(p.Detected),
			strconv.Itoa(p.First), strconv.Itoa(p.Last), thousands(p.Missing))
	}
	sources := newTextTable("<TOP SOURCE", ">EVENTS", ">SHARE", ">DETECTED")
	for _, source := range s.BySource[:min(topInText, len(s.BySource))] {
		sources.add(source.IP, thousands(source.Events), percentText(source.Percent), thousands(source.Detected))
	}
	latency := newTextTable("<LATENCY (record to row)", ">50 %", ">90 %", ">99 %", ">99.9 %", ">MAX")
	if l := s.Waiting; l.Events > 0 {
		latency.add(counted(l.Events, "event"), durationText(l.P50), durationText(l.P90), durationText(l.P99), durationText(l.P999), durationText(l.Max))
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
	return fmt.Sprintf(", %s a minute", thousands(int(float64(s.Events)/minutes+0.5)))
}

// WriteText writes the scores as tables for a terminal.
func (s *Scores) WriteText(w io.Writer) error {
	var b strings.Builder
	all := ""
	if s.MacroF1All != s.MacroF1 {
		all = fmt.Sprintf(" (%.3f with those left out)", s.MacroF1All)
	}
	fmt.Fprintf(&b, "Macro F1 %.3f over %s%s; %s\n", s.MacroF1, counted(s.Averaged, "technique"), all, s.falseAlarmText())
	if s.Unseen > 0 {
		fmt.Fprintf(&b, "%s of the truth not among the rows\n", counted(s.Unseen, "attack event"))
	}
	scoreTable("TECHNIQUE", append(append([]Score{}, s.ByTechnique...), s.Overall)).write(&b)
	scoreTable("SCENARIO", s.ByScenario).write(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Scores) falseAlarmText() string {
	return fmt.Sprintf("%s, %.1f an hour, %.3f %% of benign events",
		counted(s.FalseAlarms, "false alarm"), s.FalseAlarmsPerHour, s.FalseAlarmPercent)
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
			delay, before = durationText(s.Delay), thousands(s.RowsBefore)
		}
		t.add(s.ID, name, thousands(s.Incidents), thousands(s.Found), fmt.Sprintf("%.2f", s.Recall),
			thousands(s.Labelled), thousands(s.Right), fmt.Sprintf("%.2f", s.Precision), fmt.Sprintf("%.2f", s.F1),
			thousands(s.Rows), fmt.Sprintf("%.2f", s.RowRecall), delay, before)
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

// thousands is n with commas between groups of three digits.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// compact is n in at most five characters, such as 9,999, 12k or 3.4M.
func compact(n int) string {
	switch {
	case n < 10_000:
		return thousands(n)
	case n < 999_500:
		return fmt.Sprintf("%dk", (n+500)/1000)
	case n < 9_950_000:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0fM", float64(n)/1e6)
}

// counted is a number and its noun, such as 1 event or 1,200 events.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(n) + " " + noun
}

func percentText(percent float64) string { return fmt.Sprintf("%.2f %%", percent) }

// durationText is a duration as people say it: 18.9 ms, 4.20 s, 3m20s, 2h5m.
func durationText(d time.Duration) string {
	switch {
	case d == 0:
		return "0 s"
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d)
	case d < time.Millisecond:
		return threeDigits(float64(d)/float64(time.Microsecond)) + " µs"
	case d < time.Second:
		return threeDigits(float64(d)/float64(time.Millisecond)) + " ms"
	case d < time.Minute:
		return threeDigits(d.Seconds()) + " s"
	case d < time.Hour:
		d = d.Round(time.Second)
	default:
		d = d.Round(time.Minute)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func threeDigits(x float64) string {
	decimals := 2
	for limit := 10.0; x >= limit && decimals > 0; limit *= 10 {
		decimals--
	}
	return strconv.FormatFloat(x, 'f', decimals, 64)
}
