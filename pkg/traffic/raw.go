package traffic

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"soclab/pkg/event"
)

// sniffRaw knows raw_packets.csv by the names in its header.
func sniffRaw(header string) (decoder, error) {
	if !strings.Contains(header, event.FieldTimestamp.Name()) || strings.HasPrefix(header, "{") {
		return nil, nil
	}
	columns, err := event.ParseHeader(header)
	if err != nil {
		return nil, err
	}
	return func(row string, e *event.Event) (bool, error) {
		if row == header { // the first row, or files that were joined
			return false, nil
		}
		return true, columns.Decode(row, e)
	}, nil
}

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

// appender appends rows to a CSV file, whole rows in every write, so that the
// rows of two processes do not mix.
type appender struct {
	file *os.File
	rows []byte // not yet written
}

const flushSize = 256 << 10

func openAppender(path, header string) (*appender, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	a := &appender{file: file}
	if err := a.mend(header); err != nil {
		file.Close()
		return nil, fmt.Errorf("append to %s: %w", path, err)
	}
	return a, nil
}

// mend brings the file to the end of its last whole row, at least its header.
func (a *appender) mend(header string) error {
	header += "\n"
	begin := make([]byte, len(header))
	n, err := a.file.ReadAt(begin, 0)
	if err != nil && err != io.EOF {
		return err
	}
	found := string(bytes.TrimPrefix(begin[:n], []byte("\ufeff")))
	switch {
	case !strings.HasPrefix(header, found):
		return fmt.Errorf("header %.80q: want %.80q: put the file aside to begin a new one", found, header)
	case n < len(header): // new, or killed while it wrote the header
		if err := a.file.Truncate(0); err != nil {
			return err
		}
		_, err := a.file.WriteString(header)
		return err
	}
	end, err := endOfLastRow(a.file)
	if err != nil {
		return err
	}
	return a.file.Truncate(end)
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
	_, err := a.file.Write(a.rows)
	a.rows = a.rows[:0]
	return err
}

// Close flushes and closes the file.
func (a *appender) Close() error {
	err := a.Flush()
	if closed := a.file.Close(); err == nil {
		err = closed
	}
	return err
}
