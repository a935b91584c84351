package traffic

import (
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"soclab/pkg/event"
)

// Truth says what an attack event is part of. Benign events have none.
type Truth struct {
	EventID    string
	Incident   string   // one run of one step of a scenario; unique over runs of the generator
	Scenario   string   // such as port-scan or c2-beacon
	Tactic     string   // ATT&CK id, such as TA0007
	Techniques []string // ATT&CK ids that are right for it, the best first; shared, not to be changed
}

const (
	truthHeader = "event.id,incident,scenario,threat.tactic.id,threat.technique.id"

	techniqueSeparator = ";"
)

// TruthWriter appends to truth.csv.
type TruthWriter struct{ *appender }

// NewTruthWriter opens the file at path for appending, as [NewRawWriter] does.
func NewTruthWriter(path string) (*TruthWriter, error) {
	a, err := openAppender(path, truthHeader)
	if err != nil {
		return nil, err
	}
	return &TruthWriter{a}, nil
}

// Write appends the truth of one event. Rows are buffered: see Flush.
func (w *TruthWriter) Write(t *Truth) error {
	for _, text := range [...]string{t.EventID, t.Incident, t.Scenario, t.Tactic} {
		w.rows = append(event.AppendCell(w.rows, text), ',')
	}
	for i, technique := range t.Techniques {
		if i > 0 {
			w.rows = append(w.rows, techniqueSeparator...)
		}
		w.rows = append(w.rows, technique...)
	}
	return w.endRow()
}

// ReadTruth reads the truth.csv at path row by row. An error ends it; it names
// file and line.
func ReadTruth(path string) iter.Seq2[Truth, error] {
	return func(yield func(Truth, error) bool) {
		if err := readTruth(path, func(t Truth) bool { return yield(t, nil) }); err != nil {
			yield(Truth{}, err)
		}
	}
}

func readTruth(path string, yield func(Truth) bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := event.NewLines(file)
	at := func(err error) error { return fmt.Errorf("%s:%d: %w", path, lines.Number(), err) }
	header, err := lines.Next()
	if err == io.EOF {
		return fmt.Errorf("%s: empty: want the header %s", path, truthHeader)
	}
	if err != nil {
		return at(err)
	}
	if header != truthHeader {
		return at(fmt.Errorf("header %.80q: want %s", header, truthHeader))
	}
	width := strings.Count(truthHeader, ",") + 1
	cells := make([]string, 0, width)
	for {
		row, err := lines.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return at(err)
		}
		if row == "" {
			continue
		}
		if cells, err = event.SplitRow(strings.Clone(row), cells); err != nil {
			return at(err)
		}
		if len(cells) != width {
			return at(fmt.Errorf("row of %d cells: want %d", len(cells), width))
		}
		t := Truth{
			EventID:    event.Unescape(cells[0]),
			Incident:   event.Unescape(cells[1]),
			Scenario:   event.Unescape(cells[2]),
			Tactic:     cells[3],
			Techniques: strings.Split(cells[4], techniqueSeparator),
		}
		if t.EventID == "" || t.Incident == "" || cells[4] == "" {
			return at(fmt.Errorf("%.80q: want an event.id, an incident and a threat.technique.id", row))
		}
		if !yield(t) {
			return nil
		}
	}
}
