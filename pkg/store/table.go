package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"soclab/pkg/event"
)

// table is a CSV file that several processes append whole rows to. Each holds
// the lock beside it while it looks at the file and writes.
type table struct {
	path    string
	columns []string // of this version
	needed  []string // those that a file of an older version must have
	lock    *flock.Flock
	file    file
	size    int64 // bytes known to be whole rows
}

// file is what a table does to its file; a test may put faults in its way.
type file interface {
	io.Writer
	io.ReaderAt
	Truncate(size int64) error
	Sync() error
	Stat() (os.FileInfo, error)
	Close() error
}

// opener opens a file for reading and appending, and makes it where it is
// missing.
type opener func(path string) (file, error)

func openFile(path string) (file, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
}

func (t *table) header() string { return strings.Join(t.columns, ",") + "\n" }

// close closes what open has opened.
func (t *table) close() error {
	var err error
	if t.file != nil {
		err = t.file.Close()
		t.file = nil
	}
	return errors.Join(err, t.lock.Close())
}

// locked runs do while no other process may append.
func (t *table) locked(ctx context.Context, do func() error) error {
	if ok, err := t.lock.TryLock(); err != nil {
		return fmt.Errorf("lock: %w", err)
	} else if !ok {
		told := time.AfterFunc(2*time.Second, func() {
			slog.Warn("waiting for the lock that another process holds", "file", t.lock.Path())
		})
		defer told.Stop()
		if _, err := t.lock.TryLockContext(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("wait for the lock: %w", err)
		}
	}
	err := do()
	if unlocked := t.lock.Unlock(); err == nil && unlocked != nil {
		err = fmt.Errorf("unlock: %w", unlocked)
	}
	return err
}

// open opens whatever the path names now, gives it the header of this version,
// and cuts off an unfinished row. The lock must be held.
func (t *table) open(open opener) error {
	opened, err := open(t.path)
	if err != nil {
		return err
	}
	if t.file != nil {
		t.file.Close()
	}
	t.file = opened
	header := []byte(t.header())
	found := make([]byte, len(header))
	n, err := opened.ReadAt(found, 0)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case bytes.Equal(found, header):
	case n < len(header) && bytes.HasPrefix(header, found[:n]): // new, or killed while it was begun
		if _, err := opened.Write(header[n:]); err != nil {
			return fmt.Errorf("write the header: %w", err)
		}
	default:
		if err := t.upgrade(); err != nil {
			return err
		}
		return t.open(open)
	}
	t.size, err = t.cutTail(int64(len(header)))
	return err
}

// upgrade writes the rows of a file that has fewer columns, or has them in
// another order, to a file with the columns of this version, which then takes
// its place. Nothing is lost on the way: it is whole before it has the name.
func (t *table) upgrade() (err error) {
	lines := event.NewLines(io.NewSectionReader(t.file, 0, math.MaxInt64))
	line, err := lines.Next()
	var old []string
	if err == nil {
		old, err = event.SplitRow(strings.Clone(line), nil)
	}
	if err != nil || lines.Torn() || !subset(old, t.columns) || !subset(t.needed, old) {
		return fmt.Errorf("its first row is %.80q: want the columns %.80q..., or some of them; "+
			"move the file away if it is of another kind, of a newer version, or of a program that changed it", line, t.header())
	}
	places := make([]int, len(t.columns)) // in a row of the old file
	var absent []string
	for i, column := range t.columns {
		if places[i] = slices.Index(old, column); places[i] < 0 {
			absent = append(absent, column)
		}
	}
	slog.Info("writing the file anew with the columns of this version", "file", t.path, "added", absent)
	anew, err := os.OpenFile(t.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, anew.Close()); err != nil {
			os.Remove(anew.Name())
		}
	}()
	rows := bufio.NewWriterSize(anew, 256<<10)
	if _, err := rows.WriteString(t.header()); err != nil {
		return err
	}
	cells, placed, row := []string{}, make([]string, len(t.columns)), []byte{}
	for {
		line, err := lines.Next()
		if err == io.EOF || err == nil && lines.Torn() {
			break
		}
		if err == nil {
			cells, err = event.SplitRow(line, cells)
		}
		if err == nil && len(cells) != len(old) {
			err = fmt.Errorf("row of %d cells: want %d as in the header", len(cells), len(old))
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", lines.Number(), err)
		}
		for i, place := range places {
			if placed[i] = ""; place >= 0 {
				placed[i] = cells[place]
			}
		}
		row = append(event.JoinRow(row[:0], placed), '\n')
		if _, err := rows.Write(row); err != nil {
			return err
		}
	}
	if err := errors.Join(rows.Flush(), anew.Sync()); err != nil {
		return err
	}
	return os.Rename(anew.Name(), t.path)
}

// subset reports whether all of some are among others, each once.
func subset(some, others []string) bool {
	for i, s := range some {
		if slices.Contains(some[:i], s) || !slices.Contains(others, s) {
			return false
		}
	}
	return true
}

// cutTail removes what follows the last line end: a row whose writer died. It
// returns the file's size then. Up to low the file is known to have whole rows.
func (t *table) cutTail(low int64) (int64, error) {
	info, err := t.file.Stat()
	if err != nil {
		return 0, err
	}
	chunk := make([]byte, 64<<10)
	for end := info.Size(); end > low; {
		start := max(low, end-int64(len(chunk)))
		part := chunk[:end-start]
		if _, err := t.file.ReadAt(part, start); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			low = start + int64(i) + 1
			break
		}
		end = start
	}
	if low < info.Size() {
		if err := t.file.Truncate(low); err != nil {
			return 0, fmt.Errorf("cut off an unfinished row: %w", err)
		}
	}
	return low, nil
}

// same reports whether the path still names the file that is open, and no
// shorter one.
func (t *table) same() (bool, error) {
	named, err := os.Stat(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	open, err := t.file.Stat()
	return err == nil && os.SameFile(named, open) && open.Size() >= t.size, err
}

// append writes rows at the end, all of them or none. With sync they are on
// disk when it returns. The lock must be held, and size be the file's.
func (t *table) append(rows []byte, sync bool) error {
	_, err := t.file.Write(rows)
	if err == nil && sync {
		err = t.file.Sync()
	}
	if err != nil {
		// What a failed sync has left on disk nobody knows: those rows go, too.
		return errors.Join(err, t.file.Truncate(t.size))
	}
	t.size += int64(len(rows))
	return nil
}

func (t *table) failed(verb string, err error) error {
	return fmt.Errorf("%s %s: %w", verb, t.path, err)
}
