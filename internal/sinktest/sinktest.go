// Package sinktest is the suite of tests that a sink passes which knows how far
// it got, and by which a consumer goes on: each event once, whatever fails.
package sinktest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"soclab/pkg/event"
	"soclab/pkg/sink"
	"soclab/pkg/stream"
)

// Sink is a sink that knows how far it got.
type Sink interface {
	sink.Sink
	stream.Results
	Close() error
}

// Format is how a sink keeps events in a file.
type Format struct {
	// Open opens the sink over the file at path, which it opens with open
	// whenever it does.
	Open func(path string, open func(path string) (File, error)) (Sink, error)
	// Read shows what a file holds, in its order.
	Read func(path string, row func(partition int, offset int64, eventID string)) error
}

// Run runs the suite.
func Run(t *testing.T, format Format) {
	for _, test := range []struct {
		name string
		run  func(*suite)
	}{
		{"what is appended is held", (*suite).held},
		{"what is held is dropped", (*suite).again},
		{"torn tail", (*suite).tornTail},
		{"short write", (*suite).shortWrite},
		{"short write that cannot be rolled back", (*suite).noRollback},
		{"failed sync", (*suite).failedSync},
		{"power failure", (*suite).powerFailure},
		{"two writers", (*suite).twoWriters},
		{"waiting for a writer", (*suite).waiting},
		{"killed writer", (*suite).killedWriter},
		{"replaced file", (*suite).replacedFile},
		{"put aside", (*suite).putAside},
		{"unclassified event", (*suite).unclassified},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(&suite{t, format, filepath.Join(t.TempDir(), "events"), new(Disk)})
		})
	}
}

type suite struct {
	*testing.T
	format Format
	path   string
	disk   *Disk
}

func (s *suite) open() Sink {
	s.Helper()
	k, err := s.format.Open(s.path, s.disk.Open)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { k.Close() })
	return k
}

// batch has the events from first to last of a partition.
func batch(partition int, first, last int64) *event.Batch {
	b := &event.Batch{Topic: "events.raw", Partition: partition}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for offset := first; offset <= last; offset++ {
		b.Records = append(b.Records, event.Record{
			Event:  event.Event{Timestamp: at.Add(time.Duration(offset) * time.Second), ID: id(partition, offset), User: "two\nlines, \"quoted\""},
			Offset: offset, Time: at,
			Verdict: &event.Verdict{Class: event.Benign},
		})
	}
	return b
}

// id is of the kind that a format may have to write in another way.
func id(partition int, offset int64) string { return fmt.Sprintf("=%d,\"%d\n", partition, offset) }

func (s *suite) append(k Sink, partition int, first, last int64) {
	s.Helper()
	if err := k.Append(s.Context(), batch(partition, first, last)); err != nil {
		s.Fatal(err)
	}
}

func (s *suite) appendFails(k Sink, partition int, first, last int64) {
	s.Helper()
	if err := k.Append(s.Context(), batch(partition, first, last)); err == nil {
		s.Fatalf("offsets %d to %d of partition %d: no error", first, last, partition)
	}
}

// holds checks that the file has the offsets from 0 to last of each partition,
// each once and in order, and that k knows.
func (s *suite) holds(k Sink, last ...int64) {
	s.Helper()
	next := make([]int64, len(last))
	err := s.format.Read(s.path, func(partition int, offset int64, eventID string) {
		if offset != next[partition] || eventID != id(partition, offset) {
			s.Fatalf("partition %d: event %q at offset %d, want offset %d", partition, eventID, offset, next[partition])
		}
		next[partition]++
	})
	if err != nil {
		s.Fatal(err)
	}
	for partition, last := range last {
		if next[partition] != last+1 {
			s.Errorf("partition %d: %d events, want %d", partition, next[partition], last+1)
		}
		offset, eventID, ok, err := k.Last(partition)
		if err != nil || ok != (last >= 0) || ok && (offset != last || eventID != id(partition, last)) {
			s.Errorf("the last of partition %d is said to be %q at offset %d (%v, %v), want offset %d", partition, eventID, offset, ok, err, last)
		}
	}
}

func (s *suite) held() {
	k := s.open()
	s.holds(k, -1)
	s.append(k, 0, 0, 9)
	s.append(k, 1, 0, 0)
	s.append(k, 0, 10, 10)
	s.holds(k, 10, 0)
	s.holds(s.open(), 10, 0)
}

func (s *suite) again() {
	k := s.open()
	s.append(k, 0, 0, 9)
	s.append(k, 0, 0, 9)
	s.append(k, 0, 3, 5)
	s.append(k, 0, 5, 14)
	s.append(k, 1, 0, 3)
	s.append(s.open(), 0, 9, 19)
	s.append(k, 0, 12, 20)
	s.holds(k, 20, 3)
}

// tornTail: whatever is cut off the end, the rest counts and is continued.
func (s *suite) tornTail() {
	k := s.open()
	s.append(k, 0, 0, 2)
	before := s.size()
	s.append(k, 0, 3, 4)
	k.Close()
	whole, err := os.ReadFile(s.path)
	if err != nil {
		s.Fatal(err)
	}
	for size := before; size <= int64(len(whole)); size++ {
		if err := os.WriteFile(s.path, whole[:size], 0o644); err != nil {
			s.Fatal(err)
		}
		k := s.open()
		offset, _, ok, err := k.Last(0)
		if err != nil || !ok || offset < 2 {
			s.Fatalf("cut to %d of %d bytes: the last is offset %d (%v, %v)", size, len(whole), offset, ok, err)
		}
		s.append(k, 0, offset+1, 6)
		s.holds(k, 6)
		k.Close()
	}
}

func (s *suite) size() int64 {
	info, err := os.Stat(s.path)
	if err != nil {
		s.Fatal(err)
	}
	return info.Size()
}

func (s *suite) shortWrite() {
	k := s.open()
	s.append(k, 0, 0, 2)
	for _, bytes := range []int{0, 1, 100, 400} {
		s.disk.ShortWrite(bytes)
		s.appendFails(k, 0, 3, 5)
		s.holds(k, 2)
	}
	s.append(k, 0, 3, 5)
	s.holds(k, 5)
}

// noRollback: what a failed write left behind is not doubled by the next.
func (s *suite) noRollback() {
	k := s.open()
	last := int64(2)
	s.append(k, 0, 0, last)
	for _, bytes := range []int{50, 300} {
		s.disk.ShortWrite(bytes)
		s.disk.FailTruncate()
		s.appendFails(k, 0, last+1, last+3)
		last += 3
		s.append(k, 0, last-2, last)
		s.holds(k, last)
	}
}

// failedSync: what may not be on disk does not count as held.
func (s *suite) failedSync() {
	k := s.open()
	s.append(k, 0, 0, 2)
	s.disk.FailSync()
	s.appendFails(k, 0, 3, 5)
	s.append(k, 0, 3, 5)
	s.holds(k, 5)
	s.powerFails(k)
	s.holds(s.open(), 5)
}

// powerFailure: when Append returns, its events outlive the machine.
func (s *suite) powerFailure() {
	for last := int64(1); last < 8; last += 2 {
		k := s.open()
		s.append(k, 0, last-1, last)
		s.powerFails(k)
		s.holds(s.open(), last)
	}
}

func (s *suite) powerFails(k Sink) {
	s.Helper()
	k.Close()
	if err := s.disk.PowerFailure(); err != nil {
		s.Fatal(err)
	}
}

// twoWriters: all who get the same events write each of them once.
func (s *suite) twoWriters() {
	var writers sync.WaitGroup
	for range 2 {
		k := s.open()
		writers.Go(func() {
			for first := int64(0); first < 500; first += 25 {
				for partition := range 2 {
					if err := k.Append(context.Background(), batch(partition, max(0, first-10), first+24)); err != nil {
						s.Error(err)
						return
					}
				}
			}
		})
	}
	writers.Wait()
	s.holds(s.open(), 499, 499)
}

// waiting: while one writes no other does, and it waits no longer than its
// context.
func (s *suite) waiting() {
	k, other := s.open(), s.open()
	s.append(k, 0, 0, 2)
	s.disk.BeforeWrite(func() {
		ctx, cancel := context.WithTimeout(s.Context(), 50*time.Millisecond)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- other.Append(ctx, batch(0, 3, 5)) }()
		select {
		case err := <-ended:
			if !errors.Is(err, context.DeadlineExceeded) {
				s.Errorf("while another writes, Append returns %v, want %v", err, context.DeadlineExceeded)
			}
		case <-time.After(30 * time.Second):
			s.Error("Append does not end with its context")
		}
	})
	s.append(k, 0, 3, 5)
	s.holds(k, 5)
}

// killedWriter: another goes on where one died in the middle of a write.
func (s *suite) killedWriter() {
	last := int64(2)
	s.append(s.open(), 0, 0, last)
	survivor := s.open()
	for _, bytes := range []int{0, 1, 100, 250, 100_000} {
		victim := s.open()
		s.disk.Kill(bytes)
		s.appendFails(victim, 0, last+1, last+3)
		victim.Close() // the system does, and frees its lock
		s.append(survivor, 0, last+1, last+4)
		last += 4
		s.holds(survivor, last)
		s.holds(s.open(), last)
	}
}

// replacedFile: a sink whose events are gone says so, and does not leave a gap.
func (s *suite) replacedFile() {
	k := s.open()
	s.append(k, 0, 0, 5)
	copied, err := os.ReadFile(s.path)
	if err != nil {
		s.Fatal(err)
	}
	replace := func(data []byte) {
		if err := errors.Join(os.Remove(s.path), os.WriteFile(s.path, data, 0o644)); err != nil {
			s.Fatal(err)
		}
	}
	replace(copied) // by one that has the same events
	s.append(k, 0, 6, 7)
	s.holds(k, 7)
	replace(copied) // by one that lacks some
	s.appendFails(k, 0, 8, 9)
	k = s.open()
	s.append(k, 0, 6, 9)
	s.holds(k, 9)
	if err := os.Truncate(s.path, int64(len(copied))); err != nil { // shortened in place
		s.Fatal(err)
	}
	s.appendFails(k, 0, 10, 11)
	k = s.open()
	s.append(k, 0, 6, 9)
	s.holds(k, 9)
	if err := os.Remove(s.path); err != nil {
		s.Fatal(err)
	}
	s.appendFails(k, 0, 10, 11)
	s.holds(s.open(), -1)
}

// putAside: a sink whose topic is gone begins anew, and keeps what it had.
func (s *suite) putAside() {
	k, other, third := s.open(), s.open(), s.open()
	s.append(k, 0, 0, 5)
	s.holds(third, 5)
	name, err := k.PutAside()
	if err != nil || name == "" {
		s.Fatalf("%q, %v", name, err)
	}
	s.holds(k, -1)
	s.holds(third, -1) // begins anew, too, although it knew what is gone
	// The other consumer had the same in mind, and must not move the new file.
	if again, err := other.PutAside(); err != nil || again != "" {
		s.Errorf("put aside twice: %q, %v", again, err)
	}
	s.append(other, 0, 0, 2)
	s.append(k, 0, 3, 4)
	s.holds(k, 4)
	s.path = name
	s.holds(s.open(), 5)
}

func (s *suite) unclassified() {
	k := s.open()
	b := batch(0, 0, 3)
	b.Records[2].Verdict = nil
	if err := k.Append(s.Context(), b); err == nil {
		s.Error("no error")
	}
	s.holds(k, -1)
}
