package stats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"soclab/pkg/event"
	"soclab/pkg/store"
)

// row is one classified event. Its cells lie in the read buffer, still escaped,
// and are valid only while it is counted.
type row struct {
	*store.Cells
	parsed event.Row // what parsedColumns hold, and nothing else
}

var (
	columnTime   = event.Column(event.FieldTimestamp)
	columnID     = event.Column(event.FieldID)
	columnSource = event.Column(event.MustField("source.ip"))

	neededColumns = [...]event.Column{columnTime, columnID, event.ColumnClass, event.ColumnPartition, event.ColumnOffset}
	parsedColumns = [...]event.Column{columnTime, event.ColumnCreated, event.ColumnIngested, event.ColumnPartition, event.ColumnOffset}
)

func (r *row) benign() bool { return r.Get(event.ColumnClass) == event.Benign }

func (r *row) parse() error {
	for _, column := range neededColumns {
		if r.Get(column) == "" {
			return fmt.Errorf("%s: want a value", column.Name())
		}
	}
	r.parsed.Time, r.parsed.Ingested = time.Time{}, time.Time{} // they may be absent
	for _, column := range parsedColumns {
		if cell := r.Get(column); cell != "" {
			if err := column.Parse(cell, &r.parsed); err != nil {
				return err
			}
		}
	}
	return nil
}

// read counts the rows of files, in their order, and shows also those that are
// counted.
func (c *counter) read(ctx context.Context, files []string, also func(*row)) (*Summary, error) {
	if len(files) == 0 {
		return nil, errors.New("no file of classified events given")
	}
	r := row{parsed: event.Row{Record: new(event.Record)}}
	for _, name := range files {
		torn, err := store.Scan(ctx, name, func(cells *store.Cells) error {
			r.Cells = cells
			if err := r.parse(); err != nil {
				return err
			}
			counted, err := c.count(&r)
			if counted {
				also(&r)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if torn {
			c.Torn++
		}
	}
	c.sum()
	return c.Summary, nil
}
