package stats

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unsafe"

	"soclab/pkg/event"
)

// maxLine is the longest line that is read, in bytes. A record has at most
// [event.MaxRecord] bytes and escaping makes six of one at worst; the columns
// that the classifier adds have room in the rest.
const maxLine = 8 * event.MaxRecord

// readTable calls visit for each row of a CSV file with the cells of the named
// columns, in the order of columns. Other columns are passed over. The cells
// lie in the read buffer: they are valid until visit returns, and what is kept
// of them must be cloned. A last line without line end is left out and
// reported as torn: its writer is still at work. Errors begin with name:line.
func readTable(ctx context.Context, name string, r io.Reader, columns []string, visit func(cells []string) error) (torn bool, err error) {
	lines := bufio.NewReaderSize(r, maxLine)
	var (
		row    []string // all cells of the line
		width  int      // of the header
		places []int    // where in row the wanted columns stand
		cells  = make([]string, len(columns))
	)
	for number := 1; ; number++ {
		if number%4096 == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		line, err := lines.ReadSlice('\n')
		switch {
		case err == io.EOF:
			return len(line) > 0, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return false, fmt.Errorf("%s:%d: line of more than %d bytes", name, number, maxLine)
		case err != nil:
			return false, fmt.Errorf("read %s: %w", name, err)
		}
		// No copy: a million rows would leave half a gigabyte of garbage.
		text := unsafe.String(unsafe.SliceData(line), len(line)-1)
		if number == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		row, err = event.SplitRow(text, row)
		switch {
		case err != nil:
		case number == 1:
			width = len(row)
			places, err = findColumns(row, columns)
		case len(row) != width:
			err = fmt.Errorf("row of %d cells: want %d as in the header", len(row), width)
		default:
			for i, place := range places {
				cells[i] = row[place]
			}
			err = visit(cells)
		}
		if err != nil {
			return false, fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
}

func findColumns(header, columns []string) ([]int, error) {
	places := make([]int, len(columns))
	for i, column := range columns {
		places[i] = slices.Index(header, column)
		if places[i] < 0 {
			return nil, fmt.Errorf("header: want a column %s", column)
		}
		if slices.Contains(header[places[i]+1:], column) {
			return nil, fmt.Errorf("header: %q: want each column once", column)
		}
	}
	return places, nil
}
