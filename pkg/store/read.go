package store

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"

	"soclab/pkg/event"
)

// Row is one row of the file.
type Row struct {
	event.Record           // the event, its offset, and event.created as Time
	Partition    int       // kafka.partition
	Ingested     time.Time // when the row was written
	Verdict      event.Verdict
	TraceID      string // 32 hexadecimal digits, empty where the event was not traced
}

const longestRow = 16 * event.MaxRecord // escapes make text longer

// Read yields the rows of the file at path, in its order, until the first
// error, which names file and line. A last row without line end is left out:
// its writer is at work on it.
func Read(path string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		file, err := os.Open(path)
		if err != nil {
			yield(Row{}, fmt.Errorf("read results: %w", err))
			return
		}
		defer file.Close()
		line := 0
		for row, err := range rows(file) {
			line++
			if err != nil {
				err = fmt.Errorf("%s:%d: %w", path, line+1, err)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func rows(r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 64<<10), longestRow)
		lines.Split(wholeLines)
		if !lines.Scan() || lines.Text() != Header() {
			yield(Row{}, fmt.Errorf("header %.80q: want %.80q...", lines.Text(), Header()))
			return
		}
		eventColumns, err := event.ParseHeader(Header())
		for err == nil && lines.Scan() {
			var row Row
			row, err = parse(eventColumns, lines.Text())
			if err == nil && !yield(row, nil) {
				return
			}
		}
		if err == nil {
			err = lines.Err()
		}
		if err != nil {
			yield(Row{}, err)
		}
	}
}

// wholeLines splits at line ends and leaves out what follows the last one.
func wholeLines(data []byte, atEOF bool) (int, []byte, error) {
	n, line, err := bufio.ScanLines(data, false)
	if n == 0 && atEOF {
		return len(data), nil, nil
	}
	return n, line, err
}

func parse(eventColumns event.Columns, text string) (row Row, err error) {
	if err := eventColumns.Decode(text, &row.Event); err != nil {
		return row, err
	}
	cells, err := event.SplitRow(text, nil)
	if err != nil {
		return row, err
	}
	cells = cells[len(cells)-len(columns):] // Decode has checked the width
	for i := range cells {
		cells[i] = event.Unescape(cells[i])
	}
	if row.Time, err = time.Parse(time.RFC3339Nano, cells[0]); err != nil {
		return row, fmt.Errorf("event.created: %w", err)
	}
	if row.Ingested, err = time.Parse(time.RFC3339Nano, cells[1]); err != nil {
		return row, fmt.Errorf("event.ingested: %w", err)
	}
	row.Verdict = event.Verdict{
		Class: cells[2], RuleID: cells[3], RuleLevel: cells[4],
		Tactic: event.Threat{ID: cells[6], Name: cells[7]}, Technique: event.Threat{ID: cells[8], Name: cells[9]},
	}
	if cells[5] != "" {
		row.Verdict.Matches = strings.Split(cells[5], ";")
	}
	row.TraceID = cells[10]
	if row.Partition, err = strconv.Atoi(cells[11]); err != nil {
		return row, fmt.Errorf("kafka.partition: %w", err)
	}
	if row.Offset, err = strconv.ParseInt(cells[12], 10, 64); err != nil {
		return row, fmt.Errorf("kafka.offset: %w", err)
	}
	return row, nil
}
