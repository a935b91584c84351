package traffic

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gofrs/flock"

	"soclab/pkg/event"
)

// RawWriter appends events to raw_packets.csv.
type RawWriter struct{ *appender }

// NewRawWriter opens the file at path for appending, and makes it with its
// header row where there is none. The torn last row of a writer that was
// killed is cut off; a file with another header is refused.
func NewRawWriter(path string) (*RawWriter, error) {
	a, err := openAppender(path, event.Header())
	if err != nil {
		return nil, err
	}
	return &RawWriter{a}, nil
}

// Write appends one event. Rows are buffered: see Flush.
func (w *RawWriter) Write(e *event.Event) error {
	w.rows = event.AppendCSV(w.rows, e)
	return w.endRow()
}

// appender appends rows to a CSV file, whole rows in every write. Several
// processes may append to one file: each holds the lock beside it while it
// cuts off what a killed one left unfinished, and writes.
type appender struct {
	file   *os.File
	lock   *flock.Flock
	header string // with its line end
	rows   []byte // not yet written
}

const flushSize = 256 << 10

func openAppender(path, header string) (*appender, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	a := &appender{file: file, lock: flock.New(path + ".lock"), header: header + "\n"}
	if err := a.write(nil); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// write appends rows to the file, all of them or none.
func (a *appender) write(rows []byte) error {
	if err := a.lock.Lock(); err != nil {
		return fmt.Errorf("append to %s: lock: %w", a.file.Name(), err)
	}
	defer a.lock.Unlock() // fails only where Lock has
	end, err := a.mend()
	if err == nil && len(rows) > 0 {
		if _, err = a.file.Write(rows); err != nil {
			err = errors.Join(err, a.file.Truncate(end))
		}
	}
	if err != nil {
		return fmt.Errorf("append to %s: %w", a.file.Name(), err)
	}
	return nil
}

// mend brings the file to the end of its last whole row, at least its header,
// and returns that end. The lock must be held.
func (a *appender) mend() (end int64, err error) {
	begin := make([]byte, len(a.header))
	n, err := a.file.ReadAt(begin, 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	found := string(bytes.TrimPrefix(begin[:n], []byte("\ufeff")))
	switch {
	case !strings.HasPrefix(a.header, found):
		return 0, fmt.Errorf("header %.80q: want %.80q: put the file aside to begin a new one", found, a.header)
	case n < len(a.header): // new, or killed while it wrote the header
		if err := a.file.Truncate(0); err != nil {
			return 0, err
		}
		_, err := a.file.WriteString(a.header)
		return int64(len(a.header)), err
	}
	if end, err = endOfLastRow(a.file); err != nil {
		return 0, err
	}
	return end, a.file.Truncate(end)
}

// endOfLastRow is the offset after the file's last line end.
func endOfLastRow(file *os.File) (int64, error) {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	var block [4096]byte
	for end > 0 {
		from := max(0, end-int64(len(block)))
		tail := block[:end-from]
		if _, err := file.ReadAt(tail, from); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(tail, '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		end = from
	}
	return 0, nil
}

func (a *appender) endRow() error {
	a.rows = append(a.rows, '\n')
	if len(a.rows) < flushSize {
		return nil
	}
	return a.Flush()
}

// Flush hands all rows to the operating system: they outlive this process from
// then on.
func (a *appender) Flush() error {
	if len(a.rows) == 0 {
		return nil
	}
	err := a.write(a.rows)
	a.rows = a.rows[:0]
	return err
}

// Close flushes and closes the file.
func (a *appender) Close() error {
	return errors.Join(a.Flush(), a.file.Close(), a.lock.Close())
}
