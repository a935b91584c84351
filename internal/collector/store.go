package collector

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// maxTrace is the size in bytes above which the rest of a trace is not read.
const maxTrace = 8 << 20

type traceID [16]byte

// store is a log of traces in a few segment files and an index of it in memory.
//
// A segment is a sequence of frames. A frame holds those spans of one trace
// that came in one export:
//
//	length of the payload  4 bytes, all integers little-endian
//	CRC-32C of what follows  4
//	trace id  16
//	start of the first span, end of the last  8 + 8, Unix nanoseconds
//	payload: OTLP TracesData
//
// A frame whose trace id is zero names an operation that was first seen in the
// segment, as a span without ids, so that loading decodes no other payload.
type store struct {
	dir    string
	limits Limits

	mu       sync.RWMutex
	segments []*segment // oldest first; the last one is appended to
	traces   map[traceID]*entry
	frame    []byte // reused for encoding
}

const frameHeader = 40

type segment struct {
	file       *os.File
	size       int64
	frames     int
	operations map[operation]bool
}

// operation is what Jaeger calls the name of a span within its service.
type operation struct{ service, name, kind string }

// entry is one trace in the index.
type entry struct {
	id         traceID
	start, end int64 // Unix nanoseconds
	frames     []frameRef
}

type frameRef struct {
	segment *segment
	offset  int64 // of the payload
	length  int
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func openStore(dir string, limits Limits) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &store{dir: dir, limits: limits, traces: make(map[traceID]*entry)}
	names, err := fs.Glob(os.DirFS(dir), "*.otlp") // dir itself is no pattern
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := s.load(filepath.Join(dir, name)); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	if len(names) == 0 {
		if err := s.roll(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// load indexes one segment up to its first frame that is not whole, and cuts
// the rest: a process that was killed may leave a torn tail.
func (s *store) load(name string) error {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	seg := &segment{file: file, operations: make(map[operation]bool)}
	s.segments = append(s.segments, seg)
	data, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	for {
		rest := data[seg.size:]
		if len(rest) < frameHeader {
			break
		}
		length := int64(binary.LittleEndian.Uint32(rest))
		if length > int64(len(rest)-frameHeader) {
			break
		}
		frame := rest[:frameHeader+length]
		if crc32.Checksum(frame[8:], castagnoli) != binary.LittleEndian.Uint32(frame[4:]) {
			break
		}
		s.index(seg, frame)
	}
	if seg.size < int64(len(data)) {
		return file.Truncate(seg.size)
	}
	return nil
}

// index enters a whole frame that is, or will be, at the end of seg.
func (s *store) index(seg *segment, frame []byte) {
	payload := frame[frameHeader:]
	ref := frameRef{seg, seg.size + frameHeader, len(payload)}
	seg.size += int64(len(frame))
	seg.frames++

	id := traceID(frame[8:24])
	if id == (traceID{}) {
		var data tracepb.TracesData
		if proto.Unmarshal(payload, &data) == nil {
			for op := range operations(data.ResourceSpans) {
				seg.operations[op] = true
			}
		}
		return
	}
	start := int64(binary.LittleEndian.Uint64(frame[24:]))
	end := int64(binary.LittleEndian.Uint64(frame[32:]))
	e := s.traces[id]
	if e == nil {
		e = &entry{id: id, start: start, end: end}
		s.traces[id] = e
	}
	e.start = min(e.start, start)
	e.end = max(e.end, end)
	e.frames = append(e.frames, ref)
}

// add appends the spans of one export, each trace's by itself.
func (s *store) add(traces []*tracepb.TracesData) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg := s.segments[len(s.segments)-1]
	if seg.size >= s.limits.Bytes/16 || seg.frames >= max(1, s.limits.Traces/16) {
		if err := s.roll(); err != nil {
			return err
		}
		seg = s.segments[len(s.segments)-1]
	}

	buf := s.frame[:0]
	named := make(map[operation]bool)
	var err error
	for _, data := range traces {
		for op := range operations(data.ResourceSpans) {
			if seg.operations[op] || named[op] {
				continue
			}
			named[op] = true
			if buf, err = appendFrame(buf, op.example()); err != nil {
				return err
			}
		}
		if buf, err = appendFrame(buf, data); err != nil {
			return err
		}
	}
	if cap(buf) <= 1<<20 {
		s.frame = buf
	}
	if _, err := seg.file.WriteAt(buf, seg.size); err != nil {
		// What was written lies past the end and is overwritten, or cut on load.
		return err
	}
	for len(buf) > 0 {
		frame := buf[:frameHeader+binary.LittleEndian.Uint32(buf)]
		s.index(seg, frame)
		buf = buf[len(frame):]
	}
	s.trim()
	return nil
}

// appendFrame appends one trace's spans as a frame.
func appendFrame(buf []byte, data *tracepb.TracesData) ([]byte, error) {
	from := len(buf)
	var id traceID
	start, end := int64(math.MaxInt64), int64(0)
	for _, span := range spans(data.ResourceSpans) {
		copy(id[:], span.TraceId)
		spanStart, spanEnd := interval(span)
		start, end = min(start, spanStart), max(end, spanEnd)
	}
	buf = append(buf, make([]byte, 8)...) // length and checksum, known below
	buf = append(buf, id[:]...)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(start))
	buf = binary.LittleEndian.AppendUint64(buf, uint64(end))
	buf, err := proto.MarshalOptions{}.MarshalAppend(buf, data)
	if err != nil {
		return buf[:from], err
	}
	frame := buf[from:]
	binary.LittleEndian.PutUint32(frame, uint32(len(frame)-frameHeader))
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(frame[8:], castagnoli))
	return buf, nil
}

// roll begins a new segment.
func (s *store) roll() error {
	next := 1
	if n := len(s.segments); n > 0 {
		last := filepath.Base(s.segments[n-1].file.Name())
		if _, err := fmt.Sscanf(last, "%d.otlp", &next); err != nil {
			return fmt.Errorf("segment %s: name is not a number", last)
		}
		next++
	}
	name := filepath.Join(s.dir, fmt.Sprintf("%010d.otlp", next))
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	s.segments = append(s.segments, &segment{file: file, operations: make(map[operation]bool)})
	return nil
}

// trim drops the oldest segments while the store is beyond its limits.
func (s *store) trim() {
	var size int64
	for _, seg := range s.segments {
		size += seg.size
	}
	for len(s.segments) > 1 && (size > s.limits.Bytes || len(s.traces) > s.limits.Traces) {
		oldest := s.segments[0]
		s.segments = s.segments[1:]
		size -= oldest.size
		for id, e := range s.traces {
			// A new slice: a reader may hold the old one.
			var kept []frameRef
			for _, ref := range e.frames {
				if ref.segment != oldest {
					kept = append(kept, ref)
				}
			}
			if e.frames = kept; len(kept) == 0 {
				delete(s.traces, id)
			}
		}
		// Readers get an error and pass over the frame.
		oldest.file.Close()
		os.Remove(oldest.file.Name())
	}
}

// clear drops all that is held.
func (s *store) clear() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := len(s.segments)
	if err := s.roll(); err != nil {
		return err
	}
	var errs []error
	for _, seg := range s.segments[:held] {
		errs = append(errs, seg.file.Close(), os.Remove(seg.file.Name()))
	}
	s.segments = slices.Clone(s.segments[held:])
	clear(s.traces)
	return errors.Join(errs...)
}

func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, seg := range s.segments {
		errs = append(errs, seg.file.Close())
	}
	return errors.Join(errs...)
}

// get returns all spans of a trace, nil if it is not held.
func (s *store) get(id traceID) []*tracepb.ResourceSpans {
	s.mu.RLock()
	e := s.traces[id]
	var frames []frameRef
	if e != nil {
		frames = e.frames
	}
	s.mu.RUnlock()
	return read(frames, nil)
}

// candidates returns the traces that overlap [from, to], Unix nanoseconds, the
// newest first.
func (s *store) candidates(from, to int64) []entry {
	s.mu.RLock()
	var found []entry
	for _, e := range s.traces {
		if e.end >= from && e.start <= to {
			found = append(found, *e)
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(found, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.start, a.start), bytes.Compare(a.id[:], b.id[:]))
	})
	return found
}

// operations returns the operations seen in the traces that are kept, sorted;
// of one service, or of all if service is "".
func (s *store) operations(service string) []operation {
	s.mu.RLock()
	all := make(map[operation]bool)
	for _, seg := range s.segments {
		for op := range seg.operations {
			if service == "" || op.service == service {
				all[op] = true
			}
		}
	}
	s.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(all), func(a, b operation) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.name, b.name), cmp.Compare(a.kind, b.kind))
	})
}

// read decodes frames from disk, up to maxTrace bytes. If needles are given,
// it returns nothing unless one frame holds them all: strings stand in protobuf
// as they are, so a search need not decode what cannot match.
func read(frames []frameRef, needles [][]byte) []*tracepb.ResourceSpans {
	var payloads [][]byte
	size, found := 0, len(needles) == 0
	for _, ref := range frames {
		if size += ref.length; size > maxTrace {
			break
		}
		payload := make([]byte, ref.length)
		if _, err := ref.segment.file.ReadAt(payload, ref.offset); err != nil {
			continue // the segment was dropped meanwhile
		}
		found = found || containsAll(payload, needles)
		payloads = append(payloads, payload)
	}
	if !found {
		return nil
	}
	var all []*tracepb.ResourceSpans
	for _, payload := range payloads {
		var data tracepb.TracesData
		if proto.Unmarshal(payload, &data) == nil {
			all = append(all, data.ResourceSpans...)
		}
	}
	return all
}

func containsAll(data []byte, needles [][]byte) bool {
	for _, needle := range needles {
		if !bytes.Contains(data, needle) {
			return false
		}
	}
	return true
}

// example is a span without ids that names the operation.
func (op operation) example() *tracepb.TracesData {
	span := &tracepb.Span{Name: op.name}
	for kind, name := range kindNames {
		if name == op.kind {
			span.Kind = kind
		}
	}
	service := &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: op.service}}
	return &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource:   &resourcepb.Resource{Attributes: []*commonpb.KeyValue{{Key: serviceName, Value: service}}},
		ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{span}}},
	}}}
}
