package broker

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// snapshot is kfake's snapshot.json: what it knows of a partition's log without
// reading it. kfake writes it in an orderly stop. After any other end it reads
// the whole log into memory instead, as much as there is; so the snapshot is
// made up for before it starts.
//
// What an aborted transaction wrote would come back by this; nothing here uses
// transactions.
type snapshot struct {
	Version          int       `json:"version"`
	HighWatermark    int64     `json:"high_watermark"`
	LastStableOffset int64     `json:"last_stable_offset"`
	LogStartOffset   int64     `json:"log_start_offset"`
	Epoch            int32     `json:"epoch"`
	CreatedAt        time.Time `json:"created_at"`
	Segments         []segment `json:"segments"`
}

// segment is a file of a partition's log, named for its first offset.
type segment struct {
	BaseOffset int64 `json:"base_offset"`
	Size       int64 `json:"size"`
	MinEpoch   int32 `json:"min_epoch,omitempty"`
	MaxEpoch   int32 `json:"max_epoch,omitempty"`
}

func (s segment) file(dir string) string {
	return filepath.Join(dir, strconv.FormatInt(s.BaseOffset, 10)+".dat")
}

// snapshotLogs writes the snapshots that lack or do not fit under kfake's data
// folder.
func snapshotLogs(dir string) error {
	logs, err := fs.Glob(os.DirFS(dir), "partitions/*") // dir itself is no pattern
	if err != nil {
		return err
	}
	for _, log := range logs {
		if err := snapshotLog(filepath.Join(dir, log)); err != nil {
			return fmt.Errorf("recover log %s: %w", log, err)
		}
	}
	return nil
}

func snapshotLog(dir string) error {
	segments, err := listSegments(dir)
	if err != nil || len(segments) == 0 {
		return err
	}
	s := snapshot{Version: 1, CreatedAt: time.Now()}
	name := filepath.Join(dir, "snapshot.json")
	if data, err := os.ReadFile(name); err == nil && json.Unmarshal(data, &s) == nil {
		same := func(a, b segment) bool { return a.BaseOffset == b.BaseOffset && a.Size == b.Size }
		if slices.EqualFunc(s.Segments, segments, same) {
			return nil
		}
	}
	last := &segments[len(segments)-1]
	next, err := cutTail(last.file(dir), last)
	if err != nil {
		return err
	}
	s.HighWatermark, s.LastStableOffset = next, next
	s.LogStartOffset = max(s.LogStartOffset, segments[0].BaseOffset)
	s.Epoch = max(s.Epoch, last.MaxEpoch)
	s.Segments = segments
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".tmp", data, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".tmp", name)
}

// listSegments returns the segments in a partition's folder by their offsets.
func listSegments(dir string) (segments []segment, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		base, isSegment := strings.CutSuffix(entry.Name(), ".dat")
		offset, err := strconv.ParseInt(base, 10, 64)
		if !isSegment || err != nil {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		segments = append(segments, segment{BaseOffset: offset, Size: info.Size()})
	}
	slices.SortFunc(segments, func(a, b segment) int { return cmp.Compare(a.BaseOffset, b.BaseOffset) })
	return segments, nil
}

// cutTail cuts a record batch that was not written whole from the end of a
// segment's file, and returns the offset after the last whole one. The head of
// a batch is that of the Kafka protocol's record batch, version 2: first offset
// (8 bytes), length of what follows (4), leader epoch (4), magic (1), CRC-32C
// of the rest (4), attributes (2), last offset less the first (4).
func cutTail(name string, s *segment) (next int64, err error) {
	const length, rest = 12, 21
	data, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	s.Size, next = 0, s.BaseOffset
	for batch := data; len(batch) >= rest+6; batch = data[s.Size:] {
		size := length + int64(binary.BigEndian.Uint32(batch[8:]))
		if size < rest+6 || size > int64(len(batch)) ||
			crc32.Checksum(batch[rest:size], crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(batch[17:]) {
			break
		}
		next = int64(binary.BigEndian.Uint64(batch)) + int64(binary.BigEndian.Uint32(batch[23:])) + 1
		s.MaxEpoch = max(s.MaxEpoch, int32(binary.BigEndian.Uint32(batch[12:])))
		s.Size += size
	}
	if s.Size < int64(len(data)) {
		return next, os.Truncate(name, s.Size)
	}
	return next, nil
}
