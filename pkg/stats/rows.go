package stats

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"soclab/pkg/event"
	"soclab/pkg/store"
)

// row is one classified event. Its cells lie in the read buffer, still escaped,
// and are valid only during the visit.
type row struct {
	*store.Cells
	time      time.Time // of the event
	partition int
	offset    int64
}

var sourceIP = event.Column(event.MustField("source.ip"))

func (r *row) id() string     { return r.Get(event.Column(event.FieldID)) }
func (r *row) source() string { return r.Get(sourceIP) }
func (r *row) benign() bool   { return r.Get(event.ColumnClass) == event.Benign }

// latency is the time from Kafka's record time until the row was written; ok
// is false where one of them is not known.
func (r *row) latency() (d time.Duration, ok bool, err error) {
	if r.Get(event.ColumnCreated) == "" || r.Get(event.ColumnIngested) == "" {
		return 0, false, nil
	}
	created, err := r.parseTime(event.ColumnCreated)
	if err != nil {
		return 0, false, err
	}
	ingested, err := r.parseTime(event.ColumnIngested)
	return ingested.Sub(created), true, err
}

func (r *row) parse() (err error) {
	if r.time, err = r.parseTime(event.Column(event.FieldTimestamp)); err != nil {
		return err
	}
	for _, column := range []event.Column{event.Column(event.FieldID), event.ColumnClass} {
		if r.Get(column) == "" {
			return fmt.Errorf("%s: want a value", column.Name())
		}
	}
	partition, err := r.parseNumber(event.ColumnPartition, math.MaxInt32)
	if err != nil {
		return err
	}
	r.partition = int(partition)
	r.offset, err = r.parseNumber(event.ColumnOffset, math.MaxInt64-1)
	return err
}

func (r *row) parseTime(column event.Column) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, r.Get(column))
	if err != nil {
		return t, fmt.Errorf("%s: %.80q: want an RFC 3339 time", column.Name(), r.Get(column))
	}
	return t, nil
}

func (r *row) parseNumber(column event.Column, most int64) (int64, error) {
	n, err := strconv.ParseInt(r.Get(column), 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s: %.80q: want a whole number from 0 to %d", column.Name(), r.Get(column), most)
	}
	return n, nil
}

// passedOver counts what eachRow did not visit.
type passedOver struct {
	duplicates int // rows of a (partition, offset) that was visited already
	torn       int // files whose last line is not complete
}

// eachRow visits every (partition, offset) of the files once, file by file, in
// the order of the rows.
func eachRow(ctx context.Context, files []string, visit func(*row) error) (passedOver, error) {
	var passed passedOver
	if len(files) == 0 {
		return passed, errors.New("no file of classified events given")
	}
	seen := make(map[int]*offsets)
	var r row
	for _, name := range files {
		torn, err := store.Scan(ctx, name, func(cells *store.Cells) error {
			r.Cells = cells
			if err := r.parse(); err != nil {
				return err
			}
			of := at(seen, r.partition, offsets{})
			if !of.add(r.offset) {
				passed.duplicates++
				return nil
			}
			return visit(&r)
		})
		if err != nil {
			return passed, err
		}
		if torn {
			passed.torn++
		}
	}
	return passed, nil
}
