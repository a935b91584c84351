// Package store writes and reads classified_packets.csv, the pipeline's result:
// one row for each event, each (partition, offset) exactly once, whatever
// crashes and however many processes write.
//
// There is no index beside the file, the rows tell. Whoever appends holds a
// lock, first reads what others have appended, and drops what the file has
// already. The rows of one partition therefore stand in offset order, and its
// last row says where to go on.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"soclab/pkg/event"
)

// The columns after those of the event.
var columns = []string{
	"event.created",  // when the producer sent the event, by its record in Kafka
	"event.ingested", // when the row was written
	"class", "rule.id", "rule.level", "rule.matches",
	"threat.tactic.id", "threat.tactic.name", "threat.technique.id", "threat.technique.name",
	"trace.id", "kafka.partition", "kafka.offset",
}

// Header is the first row of the file, without line end.
func Header() string { return event.Header() + "," + strings.Join(columns, ",") }

// ErrChanged says that the file was shortened or replaced by something else
// than this package while it was in use. Rows are missing from it now: a
// consumer that begins anew writes them.
var ErrChanged = errors.New("the file was shortened or replaced while in use; start again to rebuild it from Kafka")

// File is classified_packets.csv, open for appending. Any number of processes
// on one host may have it open. Its methods may be called by several
// goroutines.
type File struct {
	path string
	lock *flock.Flock

	mu       sync.Mutex
	file     *os.File
	size     int64            // bytes known to be complete rows
	frontier int64            // rows from here on are in last
	last     map[int]position // by partition
	tails    map[*event.Verdict][]byte
	buffer   []byte
	ends     []int
}

type position struct {
	offset int64
	row    string // the row itself
}

// Open opens or creates the file at path, in a folder that exists. A row that
// a killed process left unfinished at its end is cut off. A file with other
// columns is refused. The caller must Close the File.
func Open(path string) (*File, error) {
	f := &File{path: path, lock: flock.New(path + ".lock"), tails: map[*event.Verdict][]byte{}}
	err := f.locked(context.Background(), f.reopen)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return f, nil
}

// Close closes the file. All that Append returned for is on disk.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	if f.file != nil {
		err = f.file.Close()
		f.file = nil
	}
	return errors.Join(err, f.lock.Close())
}

// Last returns the offset and the event id of the last row of a partition, and
// false where there is none.
func (f *File) Last(partition int) (offset int64, eventID string, ok bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.locked(context.Background(), f.refresh); err != nil {
		return 0, "", false, f.failed("read", err)
	}
	if err := f.scanBack(partition); err != nil {
		return 0, "", false, f.failed("read", err)
	}
	p, ok := f.last[partition]
	if !ok {
		return 0, "", false, nil
	}
	cells, err := event.SplitRow(p.row, nil)
	if err != nil || len(cells) <= int(event.FieldID) {
		return 0, "", false, f.failed("read", fmt.Errorf("row %.80q: want an event id in its second cell", p.row))
	}
	return p.offset, event.Unescape(cells[event.FieldID]), true, nil
}

// Append writes the verdicts on a batch, one row a record, in one write, and
// returns when they are on disk. Records that the file holds are left out, so
// a batch may be appended again. Of a replayed batch nothing is written. For
// each sampled record a storage.write span has the time that the batch took.
//
// After an error, the file holds either all or none of the batch or, where
// the process is killed in between, its first rows.
func (f *File) Append(ctx context.Context, batch *event.Batch, verdicts []*event.Verdict) error {
	if batch.Replay || len(batch.Records) == 0 {
		return nil
	}
	if len(verdicts) != len(batch.Records) {
		return fmt.Errorf("append to %s: %d verdicts on %d records", f.path, len(verdicts), len(batch.Records))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	begin := time.Now()
	f.encode(batch, verdicts, begin)
	err := f.locked(ctx, func() error { return f.write(batch) })
	if err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		err = f.failed("append to", err)
	}
	recordSpans(batch, begin, err)
	return err
}

func (f *File) failed(verb string, err error) error {
	return fmt.Errorf("%s %s: %w", verb, f.path, err)
}

// PutAside renames the file to a dated name and begins a new one. It returns
// that name, or nothing where another process was faster.
func (f *File) PutAside() (name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err = f.locked(context.Background(), func() error {
		if same, err := f.same(); err != nil || !same {
			return errors.Join(err, f.reopen())
		}
		extension := filepath.Ext(f.path)
		name = strings.TrimSuffix(f.path, extension) + time.Now().UTC().Format(".20060102T150405.000Z") + extension
		if err := os.Rename(f.path, name); err != nil {
			return err
		}
		return f.reopen()
	})
	if err != nil {
		return "", f.failed("put aside", err)
	}
	return name, nil
}

// locked runs do while no other process may append.
func (f *File) locked(ctx context.Context, do func() error) error {
	if ok, err := f.lock.TryLock(); err != nil {
		return fmt.Errorf("lock: %w", err)
	} else if !ok {
		if _, err := f.lock.TryLockContext(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("wait for the lock: %w", err)
		}
	}
	err := do()
	if unlocked := f.lock.Unlock(); err == nil && unlocked != nil {
		err = fmt.Errorf("unlock: %w", unlocked)
	}
	return err
}

// same reports whether the path still names the file that is open.
func (f *File) same() (bool, error) {
	named, err := os.Stat(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	open, err := f.file.Stat()
	return err == nil && os.SameFile(named, open), err
}

// reopen opens whatever the path names now, gives it a header if it is new,
// and cuts off an unfinished row. The lock must be held.
func (f *File) reopen() error {
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if f.file != nil {
		f.file.Close()
	}
	f.file, f.last = file, map[int]position{}
	header := []byte(Header() + "\n")
	found := make([]byte, len(header))
	n, err := file.ReadAt(found, 0)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case bytes.Equal(found, header):
	case n < len(header) && bytes.HasPrefix(header, found[:n]):
		if _, err := file.Write(header[n:]); err != nil {
			return fmt.Errorf("write the header: %w", err)
		}
	default:
		at := 0 // where they part
		for at < n && found[at] == header[at] {
			at++
		}
		return fmt.Errorf("its first row has %.40q at byte %d: want %.40q as in the header of this version; move the file away",
			found[at:n], at, header[at:])
	}
	f.size, err = f.cutTail(int64(len(header)))
	f.frontier = f.size
	return err
}

// cutTail removes what follows the last line end: a row whose writer died. No
// line end stands before low-1. It returns the file's size.
func (f *File) cutTail(low int64) (int64, error) {
	info, err := f.file.Stat()
	if err != nil {
		return 0, err
	}
	chunk := make([]byte, 64<<10)
	for end := info.Size(); end > low; {
		start := max(low, end-int64(len(chunk)))
		part := chunk[:end-start]
		if _, err := f.file.ReadAt(part, start); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			low = start + int64(i) + 1
			break
		}
		end = start
	}
	if low < info.Size() {
		if err := f.file.Truncate(low); err != nil {
			return 0, fmt.Errorf("cut off an unfinished row: %w", err)
		}
	}
	return low, nil
}

// refresh takes note of the rows that others have appended. The lock must be
// held.
func (f *File) refresh() error {
	same, err := f.same()
	if err != nil {
		return err
	}
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if !same || info.Size() < f.size {
		return f.replaced()
	}
	if info.Size() == f.size {
		return nil
	}
	size, err := f.cutTail(f.size)
	if err != nil {
		return err
	}
	added := io.NewSectionReader(f.file, f.size, size-f.size)
	chunk := make([]byte, 0, 256<<10)
	for at := f.size; at < size; {
		if len(chunk) == cap(chunk) {
			chunk = append(chunk, 0)[:len(chunk)] // a row longer than the chunk
		}
		n, err := added.Read(chunk[len(chunk):cap(chunk)])
		chunk = chunk[:len(chunk)+n]
		if err != nil && err != io.EOF {
			return err
		}
		whole := bytes.LastIndexByte(chunk, '\n') + 1
		if err := f.note(chunk[:whole], at, true); err != nil {
			return err
		}
		at += int64(whole)
		chunk = chunk[:copy(chunk, chunk[whole:])]
		if err == io.EOF {
			break
		}
	}
	f.size = size
	return nil
}

// replaced opens the file that has taken the place of ours. That is fine if
// it holds the rows that this process knows of.
func (f *File) replaced() error {
	before := f.last
	if err := f.reopen(); err != nil {
		return err
	}
	for partition, p := range before {
		if err := f.scanBack(partition); err != nil {
			return err
		}
		if now, ok := f.last[partition]; !ok || now.offset < p.offset {
			return ErrChanged
		}
	}
	return nil
}

// scanBack reads the file towards its begin until it knows the last row of the
// partition. No byte is read twice.
func (f *File) scanBack(partition int) error {
	header := int64(len(Header()) + 1)
	for length := int64(256 << 10); f.frontier > header; {
		if _, ok := f.last[partition]; ok {
			return nil
		}
		start := max(header, f.frontier-length)
		chunk := make([]byte, f.frontier-start)
		if _, err := f.file.ReadAt(chunk, start); err != nil {
			return err
		}
		if start > header { // it begins within a row
			cut := bytes.IndexByte(chunk, '\n') + 1
			if cut == 0 || cut == len(chunk) {
				length *= 2
				continue
			}
			chunk, start = chunk[cut:], start+int64(cut)
		}
		if err := f.note(chunk, start, false); err != nil {
			return err
		}
		f.frontier = start
	}
	return nil
}

// note remembers the last row of each partition in rows, which begin at byte
// at of the file. Newer rows replace what is known, older ones do not.
func (f *File) note(rows []byte, at int64, newer bool) error {
	seen := map[int]bool{}
	for end := len(rows); end > 0; {
		start := bytes.LastIndexByte(rows[:end-1], '\n') + 1
		row := rows[start : end-1]
		partition, offset, err := place(row)
		if err != nil {
			return fmt.Errorf("row at byte %d: %w", at+int64(start), err)
		}
		if _, known := f.last[partition]; !seen[partition] && (newer || !known) {
			f.last[partition] = position{offset, string(row)}
		}
		seen[partition] = true
		end = start
	}
	return nil
}

// place reads the partition and the offset at the end of a row.
func place(row []byte) (partition int, offset int64, err error) {
	comma := bytes.LastIndexByte(row, ',')
	if comma > 0 {
		before := bytes.LastIndexByte(row[:comma], ',')
		partition, err = strconv.Atoi(string(row[before+1 : comma]))
		if err == nil {
			offset, err = strconv.ParseInt(string(row[comma+1:]), 10, 64)
		}
	}
	if comma <= 0 || err != nil || partition < 0 || offset < 0 {
		return 0, 0, fmt.Errorf("%.40q: want kafka.partition and kafka.offset in its last two cells", row[max(0, len(row)-40):])
	}
	return partition, offset, nil
}

// encode fills buffer with the rows of the batch and ends with where they end.
func (f *File) encode(batch *event.Batch, verdicts []*event.Verdict, now time.Time) {
	f.buffer, f.ends = f.buffer[:0], f.ends[:0]
	ingested := now.UTC().Format(time.RFC3339Nano)
	sampled := batch.Sampled
	for i := range batch.Records {
		record := &batch.Records[i]
		b := append(event.AppendCSV(f.buffer, &record.Event), ',')
		b = append(record.Time.UTC().AppendFormat(b, time.RFC3339Nano), ',')
		b = append(append(b, ingested...), ',')
		b = append(b, f.tail(verdicts[i])...)
		if len(sampled) > 0 && sampled[0].Index == i {
			id := trace.SpanContextFromContext(sampled[0].Context).TraceID()
			b = append(b, id.String()...)
			sampled = sampled[1:]
		}
		b = strconv.AppendInt(append(b, ','), int64(batch.Partition), 10)
		b = strconv.AppendInt(append(b, ','), record.Offset, 10)
		f.buffer = append(b, '\n')
		f.ends = append(f.ends, len(f.buffer))
	}
}

// tail returns the cells of a verdict. Verdicts are shared by events, so their
// cells are kept.
func (f *File) tail(v *event.Verdict) []byte {
	if cells, ok := f.tails[v]; ok {
		return cells
	}
	var cells []byte
	for _, cell := range []string{
		v.Class, v.RuleID, v.RuleLevel, strings.Join(v.Matches, ";"),
		v.Tactic.ID, v.Tactic.Name, v.Technique.ID, v.Technique.Name,
	} {
		cells = append(event.AppendCell(cells, cell), ',')
	}
	const most = 10_000 // a classifier that does not share its verdicts must not fill the memory
	if len(f.tails) == most {
		clear(f.tails)
	}
	f.tails[v] = cells
	return cells
}

// write appends the encoded rows that the file lacks. The lock must be held.
func (f *File) write(batch *event.Batch) error {
	if err := f.refresh(); err != nil {
		return err
	}
	if err := f.scanBack(batch.Partition); err != nil {
		return err
	}
	held := 0
	if p, ok := f.last[batch.Partition]; ok {
		for held < len(batch.Records) && batch.Records[held].Offset <= p.offset {
			held++
		}
	}
	if held == len(batch.Records) {
		return nil
	}
	start := 0
	if held > 0 {
		start = f.ends[held-1]
	}
	n, err := f.file.Write(f.buffer[start:])
	if err != nil {
		if n > 0 {
			err = errors.Join(err, f.file.Truncate(f.size))
		}
		return err
	}
	f.size += int64(n)
	row := f.buffer[:len(f.buffer)-1]
	row = row[bytes.LastIndexByte(row, '\n')+1:]
	f.last[batch.Partition] = position{batch.Records[len(batch.Records)-1].Offset, string(row)}
	return nil
}

// recordSpans gives each sampled record a span over its batch's write.
func recordSpans(batch *event.Batch, begin time.Time, err error) {
	end := time.Now()
	for _, sampled := range batch.Sampled {
		tracer := trace.SpanFromContext(sampled.Context).TracerProvider().Tracer("soclab/store")
		_, span := tracer.Start(sampled.Context, "storage.write", trace.WithTimestamp(begin))
		if span.IsRecording() {
			span.SetAttributes(attribute.Int("messaging.batch.message_count", len(batch.Records)))
			if err != nil {
				span.RecordError(err)
			}
		}
		span.End(trace.WithTimestamp(end))
	}
}
