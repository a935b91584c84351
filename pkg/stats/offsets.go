package stats

import (
	"cmp"
	"slices"
)

// offsets is a set of the offsets of one partition, kept as runs. The rows of
// a partition follow each other without gaps but for dead letters, so a set of
// millions is a few runs: 16 bytes for each gap.
type offsets struct {
	runs []run // ascending, none touching the next
}

type run struct{ first, end int64 } // [first, end)

// add adds an offset and reports whether it was new.
func (s *offsets) add(offset int64) bool {
	if n := len(s.runs); n > 0 && s.runs[n-1].end == offset { // the next row of the log
		s.runs[n-1].end++
		return true
	}
	// i is the first run that holds the offset, ends at it, or lies behind it.
	i, _ := slices.BinarySearchFunc(s.runs, offset, func(r run, offset int64) int { return cmp.Compare(r.end, offset) })
	switch {
	case i < len(s.runs) && s.runs[i].first <= offset && offset < s.runs[i].end:
		return false
	case i < len(s.runs) && s.runs[i].end == offset:
		s.runs[i].end++
		if i+1 < len(s.runs) && s.runs[i+1].first == offset+1 {
			s.runs[i].end = s.runs[i+1].end
			s.runs = slices.Delete(s.runs, i+1, i+2)
		}
	case i < len(s.runs) && s.runs[i].first == offset+1:
		s.runs[i].first--
	default:
		s.runs = slices.Insert(s.runs, i, run{offset, offset + 1})
	}
	return true
}
