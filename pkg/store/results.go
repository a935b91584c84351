// Package store writes and reads the CSV files of the data folder:
// classified_packets.csv, the pipeline's result, and raw_packets.csv and
// truth.csv, in which a producer records what it sends.
//
// classified_packets.csv has one row for each event, each (partition, offset)
// exactly once, whatever crashes and however many processes write. There is no
// index beside the file, the rows tell. Whoever appends holds a lock, first
// reads what others have appended, and drops what the file has already. The
// rows of one partition therefore stand in offset order, and its last row says
// where to go on.
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
	"go.opentelemetry.io/otel/trace"

	"soclab/pkg/event"
	"soclab/pkg/tracing/spans"
)

// ErrChanged says that the file was shortened or replaced by something else
// than this package while it was in use. Rows are missing from it now: a
// consumer that begins anew writes them.
var ErrChanged = errors.New("the file was shortened or replaced while in use; start again to rebuild it from Kafka")

// Results is classified_packets.csv, open for appending: a sink that knows how
// far it got. Any number of processes on one host may have it open. Its methods
// may be called by several goroutines.
type Results struct {
	open opener

	mu       sync.Mutex
	table    table
	frontier int64            // rows from here on are in last
	last     map[int]position // by partition
	rows     event.RowEncoder
	buffer   []byte
	ends     []int
}

type position struct {
	offset int64
	row    string // the row itself
}

// Open opens or creates the file at path, in a folder that exists. A row that
// a killed process left unfinished at its end is cut off. A file that an older
// version wrote, with fewer columns, is written anew with those of this one; a
// file with other columns is refused. The caller must Close the Results.
func Open(path string) (*Results, error) { return openWith(path, openFile) }

func openWith(path string, open opener) (*Results, error) {
	r := &Results{open: open, table: table{
		path: path, columns: event.RowColumns(), needed: neededNames(), lock: flock.New(path + ".lock"),
	}}
	if err := r.table.locked(context.Background(), r.reopen); err != nil {
		r.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return r, nil
}

// Close closes the file. All that Append returned for is on disk.
func (r *Results) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.table.close()
}

// Last returns the offset and the event id of the last row of a partition, and
// false where there is none. Rows that are gone do not matter to it, other than
// to Append: whoever asks goes on from the answer.
func (r *Results) Last(partition int) (offset int64, eventID string, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.table.locked(context.Background(), r.refresh); err != nil && !errors.Is(err, ErrChanged) {
		return 0, "", false, r.table.failed("read", err)
	}
	if err := r.scanBack(partition); err != nil {
		return 0, "", false, r.table.failed("read", err)
	}
	p, ok := r.last[partition]
	if !ok {
		return 0, "", false, nil
	}
	cells, err := event.SplitRow(p.row, nil)
	if err != nil || len(cells) <= int(event.FieldID) {
		return 0, "", false, r.table.failed("read", fmt.Errorf("row %.80q: want an event id in its second cell", p.row))
	}
	return p.offset, event.Unescape(cells[event.FieldID]), true, nil
}

// Append writes a classified batch, one row a record, in one write, and returns
// when it is on disk. Records that the file holds are left out, so a batch may
// be appended again. For each sampled record a storage.write span has the time
// that the batch took.
//
// After an error, the file holds none of the batch or, where the process is
// killed in between, its first rows.
func (r *Results) Append(ctx context.Context, batch *event.Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin := time.Now()
	err := r.encode(batch, begin)
	if err == nil {
		err = r.table.locked(ctx, func() error { return r.write(batch) })
	}
	if err != nil {
		err = r.table.failed("append to", err)
	}
	recordSpans(batch, begin, err)
	return err
}

// PutAside renames the file to a dated name and begins a new one. It returns
// that name, or nothing where another process was faster.
func (r *Results) PutAside() (name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	path := r.table.path
	err = r.table.locked(context.Background(), func() error {
		if same, err := r.table.same(); err != nil || !same {
			return errors.Join(err, r.reopen())
		}
		extension := filepath.Ext(path)
		name = strings.TrimSuffix(path, extension) + time.Now().UTC().Format(".20060102T150405.000000000Z") + extension
		if err := os.Rename(path, name); err != nil {
			return err
		}
		return r.reopen()
	})
	if err != nil {
		return "", r.table.failed("put aside", err)
	}
	return name, nil
}

// reopen opens whatever the path names now. The lock must be held.
func (r *Results) reopen() error {
	r.last = map[int]position{}
	err := r.table.open(r.open)
	r.frontier = r.table.size
	return err
}

// refresh takes note of the rows that others have appended. The lock must be
// held.
func (r *Results) refresh() error {
	same, err := r.table.same()
	if err != nil {
		return err
	}
	if !same {
		return r.replaced()
	}
	at := r.table.size
	end, err := r.table.cutTail(at)
	if err != nil {
		return err
	}
	added := io.NewSectionReader(r.table.file, at, end-at)
	for chunk := make([]byte, 0, min(256<<10, end-at)); at < end; {
		if len(chunk) == cap(chunk) {
			chunk = append(chunk, 0)[:len(chunk)] // a row longer than the chunk
		}
		n, err := added.Read(chunk[len(chunk):cap(chunk)])
		if err != nil {
			return err
		}
		chunk = chunk[:len(chunk)+n]
		whole := bytes.LastIndexByte(chunk, '\n') + 1
		if err := r.note(chunk[:whole], at, true); err != nil {
			return err
		}
		at += int64(whole)
		chunk = chunk[:copy(chunk, chunk[whole:])]
	}
	r.table.size = end
	return nil
}

// replaced opens the file that has taken the place of ours. That is fine if
// it holds the rows that this process knows of.
func (r *Results) replaced() error {
	before := r.last
	if err := r.reopen(); err != nil {
		return err
	}
	for partition, p := range before {
		if err := r.scanBack(partition); err != nil {
			return err
		}
		if now, ok := r.last[partition]; !ok || now.offset < p.offset {
			return ErrChanged
		}
	}
	return nil
}

// scanBack reads the file towards its begin until it knows the last row of the
// partition. No byte is read twice.
func (r *Results) scanBack(partition int) error {
	header := int64(len(r.table.header()))
	for length := int64(256 << 10); r.frontier > header; {
		if _, ok := r.last[partition]; ok {
			return nil
		}
		start := max(header, r.frontier-length)
		chunk := make([]byte, r.frontier-start)
		if _, err := r.table.file.ReadAt(chunk, start); err != nil {
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
		if err := r.note(chunk, start, false); err != nil {
			return err
		}
		r.frontier = start
	}
	return nil
}

// note remembers the last row of each partition in rows, which begin at byte
// at of the file. Newer rows replace what is known, older ones do not.
func (r *Results) note(rows []byte, at int64, newer bool) error {
	seen := map[int]bool{}
	for end := len(rows); end > 0; {
		start := bytes.LastIndexByte(rows[:end-1], '\n') + 1
		row := rows[start : end-1]
		partition, offset, err := place(row)
		if err != nil {
			return fmt.Errorf("row at byte %d: %w", at+int64(start), err)
		}
		if _, known := r.last[partition]; !seen[partition] && (newer || !known) {
			r.last[partition] = position{offset, string(row)}
		}
		seen[partition] = true
		end = start
	}
	return nil
}

const _ = event.ColumnOffset + 1 - event.ColumnCount // the offset stands last, the partition before it:
const _ = event.ColumnPartition + 2 - event.ColumnCount

// place reads the partition and the offset at the end of a row, without looking
// at the rest of it.
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
func (r *Results) encode(batch *event.Batch, now time.Time) error {
	r.buffer, r.ends = r.buffer[:0], r.ends[:0]
	row := event.Row{Partition: batch.Partition, Ingested: now}
	sampled := batch.Sampled
	for i := range batch.Records {
		row.Record, row.TraceID = &batch.Records[i], ""
		if row.Verdict == nil {
			return fmt.Errorf("offset %d of partition %d is not classified", row.Offset, row.Partition)
		}
		if len(sampled) > 0 && sampled[0].Index == i {
			row.TraceID = trace.SpanContextFromContext(sampled[0].Context).TraceID().String()
			sampled = sampled[1:]
		}
		r.buffer = append(r.rows.AppendCSV(r.buffer, &row), '\n')
		r.ends = append(r.ends, len(r.buffer))
	}
	return nil
}

// write appends the encoded rows that the file lacks. The lock must be held.
func (r *Results) write(batch *event.Batch) error {
	if err := r.refresh(); err != nil {
		return err
	}
	if err := r.scanBack(batch.Partition); err != nil {
		return err
	}
	held := 0
	if p, ok := r.last[batch.Partition]; ok {
		for held < len(batch.Records) && batch.Records[held].Offset <= p.offset {
			held++
		}
	}
	if held == len(batch.Records) {
		return nil
	}
	start := 0
	if held > 0 {
		start = r.ends[held-1]
	}
	if err := r.table.append(r.buffer[start:], true); err != nil {
		return err
	}
	row := r.buffer[:len(r.buffer)-1]
	row = row[bytes.LastIndexByte(row, '\n')+1:]
	r.last[batch.Partition] = position{batch.Records[len(batch.Records)-1].Offset, string(row)}
	return nil
}

// recordSpans gives each sampled record a span over its batch's write.
func recordSpans(batch *event.Batch, begin time.Time, err error) {
	end := time.Now()
	for _, sampled := range batch.Sampled {
		tracer := trace.SpanFromContext(sampled.Context).TracerProvider().Tracer("soclab/store")
		_, span := tracer.Start(sampled.Context, spans.Store, trace.WithTimestamp(begin))
		if span.IsRecording() {
			span.SetAttributes(spans.BatchSize.Int(len(batch.Records)))
			if err != nil {
				span.RecordError(err)
			}
		}
		span.End(trace.WithTimestamp(end))
	}
}
