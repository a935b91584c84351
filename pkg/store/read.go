package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"soclab/pkg/event"
)

// neededColumns are those that classified_packets.csv must have, whichever
// version wrote it. Others that it lacks are absent in its rows.
var neededColumns = []event.Column{event.ColumnClass, event.ColumnPartition, event.ColumnOffset}

func neededNames() []string {
	names := []string{event.FieldTimestamp.Name(), event.FieldID.Name()}
	for _, column := range neededColumns {
		names = append(names, column.Name())
	}
	return names
}

// Read yields the rows of the classified_packets.csv at path, in its order,
// until the first error, which names file and line. A last row without line end
// is left out: its writer is at work on it.
func Read(path string) iter.Seq2[event.Row, error] {
	return func(yield func(event.Row, error) bool) {
		stopped := errors.New("stopped")
		_, err := scan(context.Background(), path, neededColumns, func(columns *event.Columns, line string) error {
			var row event.Row
			if err := columns.DecodeRow(strings.Clone(line), &row); err != nil {
				return err
			}
			if !yield(row, nil) {
				return stopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(event.Row{}, err)
		}
	}
}

// Cells are those of one row, still escaped. They lie in the read buffer: what
// is kept of them must be cloned.
type Cells struct {
	columns *event.Columns
	cells   []string
}

// Get is the cell of a column, empty where the file has no such column.
func (c *Cells) Get(column event.Column) string { return c.columns.Cell(c.cells, column) }

// Scan visits the rows of the classified_packets.csv at path without decoding
// them, which takes a tenth of the time that Read takes. A last row without
// line end is left out and reported as torn: its writer is at work on it.
// Errors name file and line.
func Scan(ctx context.Context, path string, visit func(*Cells) error) (torn bool, err error) {
	var row Cells
	return scan(ctx, path, neededColumns, func(columns *event.Columns, line string) (err error) {
		row.columns = columns
		if row.cells, err = columns.Split(line, row.cells); err != nil {
			return err
		}
		return visit(&row)
	})
}

func scan(ctx context.Context, path string, needed []event.Column, visit func(*event.Columns, string) error) (torn bool, err error) {
	var columns event.Columns
	return eachLine(ctx, path, func(number int, line string) (err error) {
		if number > 1 {
			return visit(&columns, line)
		}
		columns, err = event.ParseHeader(line, needed...)
		return err
	})
}

// ReadTruth yields the rows of the truth.csv at path, as [Read] does.
func ReadTruth(path string) iter.Seq2[event.Truth, error] {
	return func(yield func(event.Truth, error) bool) {
		stopped := errors.New("stopped")
		var header, cells []string
		_, err := eachLine(context.Background(), path, func(number int, line string) (err error) {
			if number == 1 {
				header, err = event.SplitRow(strings.Clone(line), nil)
				if err == nil && !subset(truthColumns, header) {
					err = fmt.Errorf("header %.80q: want the columns %s", line, strings.Join(truthColumns, ","))
				}
				return err
			}
			if cells, err = event.SplitRow(strings.Clone(line), cells); err != nil {
				return err
			}
			if len(cells) != len(header) {
				return fmt.Errorf("row of %d cells: want %d as in the header", len(cells), len(header))
			}
			t, err := parseTruth(func(column string) string { return cells[slices.Index(header, column)] })
			if err == nil && !yield(t, nil) {
				return stopped
			}
			return err
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(event.Truth{}, err)
		}
	}
}

// eachLine visits the lines of a file that have an end; they are valid during
// the visit. Errors begin with path:line.
func eachLine(ctx context.Context, path string, visit func(number int, line string) error) (torn bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	lines := event.NewLines(file)
	for {
		line, err := lines.Next()
		if err == io.EOF || err == nil && lines.Torn() {
			return lines.Torn(), nil
		}
		if err == nil && lines.Number()%4096 == 0 {
			err = ctx.Err()
		}
		if err == nil {
			err = visit(lines.Number(), line)
		}
		if err != nil {
			return false, fmt.Errorf("%s:%d: %w", path, lines.Number(), err)
		}
	}
}
