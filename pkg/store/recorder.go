package store

import (
	"context"
	"errors"

	"github.com/gofrs/flock"

	"soclab/pkg/event"
)

// Recorder records events before they are sent: the events in raw_packets.csv,
// and what is known of attacks in truth.csv. Several processes may record in
// the same files. It is for one goroutine.
type Recorder struct{ truth, raw *log }

// NewRecorder opens both files for appending, and makes them where they are
// missing; it records nothing where a path is empty. The torn last row of a
// writer that was killed is cut off; a file of an older version with fewer
// columns is written anew, one with others is refused. The caller must Close
// the recorder.
func NewRecorder(raw, truth string) (*Recorder, error) {
	r := &Recorder{}
	var err error
	if r.truth, err = openLog(truth, truthColumns, truthColumns); err != nil {
		return nil, err
	}
	fields := event.RowColumns()[:event.FieldCount]
	if r.raw, err = openLog(raw, fields, []string{event.FieldTimestamp.Name(), event.FieldID.Name()}); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Record appends an event, and its truth unless that is nil. Rows are buffered:
// see Flush.
func (r *Recorder) Record(e *event.Event, truth *event.Truth) error {
	if truth != nil && r.truth != nil {
		r.truth.rows = append(appendTruth(r.truth.rows, truth), '\n')
	}
	if r.raw != nil {
		r.raw.rows = append(event.AppendCSV(r.raw.rows, e), '\n')
	}
	if r.size() < flushSize {
		return nil
	}
	return r.Flush()
}

// flushSize is how many bytes of rows are kept in memory at most.
const flushSize = 256 << 10

func (r *Recorder) size() (n int) {
	for _, l := range []*log{r.truth, r.raw} {
		if l != nil {
			n += len(l.rows)
		}
	}
	return n
}

// Flush hands all rows to the operating system: they outlive this process from
// then on. The truth goes first: an event must not be known before it is.
func (r *Recorder) Flush() error {
	for _, l := range []*log{r.truth, r.raw} {
		if err := l.flush(); err != nil {
			return err
		}
	}
	return nil
}

// Close flushes and closes the files.
func (r *Recorder) Close() error {
	err := r.Flush()
	for _, l := range []*log{r.truth, r.raw} {
		if l != nil {
			err = errors.Join(err, l.table.close())
		}
	}
	return err
}

// log is a table that is only appended to.
type log struct {
	table table
	rows  []byte // not yet written
}

func openLog(path string, columns, needed []string) (*log, error) {
	if path == "" {
		return nil, nil
	}
	l := &log{table: table{path: path, columns: columns, needed: needed, lock: flock.New(path + ".lock")}}
	err := l.table.locked(context.Background(), func() error { return l.table.open(openFile) })
	if err != nil {
		return nil, errors.Join(l.table.failed("append to", err), l.table.close())
	}
	return l, nil
}

func (l *log) flush() error {
	if l == nil || len(l.rows) == 0 {
		return nil
	}
	rows := l.rows
	l.rows = l.rows[:0]
	err := l.table.locked(context.Background(), func() error {
		same, err := l.table.same()
		if err == nil && !same { // put aside, or deleted
			err = l.table.open(openFile)
		}
		if err == nil {
			l.table.size, err = l.table.cutTail(l.table.size)
		}
		if err != nil {
			return err
		}
		return l.table.append(rows, false)
	})
	if err != nil {
		return l.table.failed("append to", err)
	}
	return nil
}
