package stats

import (
	"fmt"
	"io"
	"slices"
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

	writeTable(&b, []string{"<CLASS", ">EVENTS", ">SHARE"}, s.ByClass, func(c Class) []string {
		return []string{c.Class, human.Count(c.Events), percentText(c.Percent)}
	})
	writeTable(&b, []string{"<TACTIC", "<ATT&CK " + s.Attack, ">DETECTIONS", ">SHARE"}, s.ByTactic, func(t Tactic) []string {
		if t.Events == 0 {
			return nil
		}
		return []string{t.ID, t.Name, human.Count(t.Events), percentText(t.Percent)}
	})
	writeTable(&b, []string{"<TECHNIQUE", "<ATT&CK " + s.Attack, ">DETECTIONS", ">SHARE"}, s.ByTechnique, func(t Technique) []string {
		return []string{t.ID, t.Name, human.Count(t.Events), percentText(t.Percent)}
	})
	writeTable(&b, []string{">PARTITION", ">EVENTS", ">BENIGN", ">DETECTED", ">FIRST OFFSET", ">LAST OFFSET", ">MISSING"},
		s.ByPartition, func(p Partition) []string {
			return []string{strconv.Itoa(p.Partition), human.Count(p.Events), human.Count(p.Benign), human.Count(p.Detected),
				strconv.Itoa(p.First), strconv.Itoa(p.Last), human.Count(p.Missing)}
		})
	sources := s.BySource[:min(topInText, len(s.BySource))]
	writeTable(&b, []string{"<TOP SOURCE", ">EVENTS", ">SHARE", ">DETECTED"}, sources, func(s Source) []string {
		return []string{s.IP, human.Count(s.Events), percentText(s.Percent), human.Count(s.Detected)}
	})
	writeTable(&b, []string{"<LATENCY (record to row)", ">50 %", ">90 %", ">99 %", ">99.9 %", ">MAX"},
		[]Waiting{s.Waiting}, func(w Waiting) []string {
			if w.Events == 0 {
				return nil
			}
			return []string{human.Counted(w.Events, "event"), human.Duration(w.P50), human.Duration(w.P90),
				human.Duration(w.P99), human.Duration(w.P999), human.Duration(w.Max)}
		})
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
	writeScores(&b, "TECHNIQUE", append(slices.Clip(s.ByTechnique), s.Overall))
	writeScores(&b, "SCENARIO", s.ByScenario)
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Scores) falseAlarmText() string {
	return fmt.Sprintf("%s, %.1f an hour, %.3f %% of benign events",
		human.Counted(s.FalseAlarms, "false alarm"), s.FalseAlarmsPerHour, s.FalseAlarmPercent)
}

func writeScores(b *strings.Builder, of string, scores []Score) {
	header := []string{"<" + of, "<", ">INCIDENTS", ">FOUND", ">RECALL", ">LABELLED", ">RIGHT", ">PRECISION", ">F1",
		">ROWS", ">ROW RECALL", ">DELAY", ">ROWS BEFORE"}
	writeTable(b, header, scores, func(s Score) []string {
		name := s.Name
		if s.LeftOut {
			name = strings.TrimSpace(name + " (left out)")
		}
		delay, before := "", ""
		if s.Found > 0 {
			delay, before = human.Duration(s.Delay), human.Count(s.RowsBefore)
		}
		share := func(of float64) string { return fmt.Sprintf("%.2f", of) }
		return []string{s.ID, name, human.Count(s.Incidents), human.Count(s.Found), share(s.Recall),
			human.Count(s.Labelled), human.Count(s.Right), share(s.Precision), share(s.F1),
			human.Count(s.Rows), share(s.RowRecall), delay, before}
	})
}

// writeTable writes an empty line and a table, or nothing where it has no rows.
// The cells of the header begin with the side to which their column is aligned,
// < or >. A row without cells is left out.
func writeTable[T any](b *strings.Builder, header []string, list []T, cells func(T) []string) {
	rows := [][]string{make([]string, len(header))}
	for i, cell := range header {
		rows[0][i] = cell[1:]
	}
	for _, element := range list {
		if row := cells(element); row != nil {
			rows = append(rows, row)
		}
	}
	if len(rows) == 1 {
		return
	}
	widths := make([]int, len(header))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	b.WriteByte('\n')
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			format := "%*s  "
			if header[i][0] == '<' {
				format = "%-*s  "
			}
			line += fmt.Sprintf(format, widths[i], cell)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
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
