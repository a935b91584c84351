package sigma

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"sort"
	"time"
)

// sortedTimes is a multiset of weighted moments, in order, with sums over all
// up to a moment. It takes moments in any order: insertion, removal and sums
// cost a block and one step per block at most, whatever the order.
type sortedTimes struct {
	blocks  []block // none is empty
	entries int     // in all of them
	sum     total
}

// block holds neighbouring entries.
type block struct {
	entries []entry
	sum     total
}

// entry is a moment in nanoseconds since 1970, and its weight.
type entry struct{ at, weight int64 }

func (a entry) compare(b entry) int {
	if a.at != b.at { // mostly
		return cmp.Compare(a.at, b.at)
	}
	return cmp.Compare(a.weight, b.weight)
}

const (
	fullBlock  = 128 // entries: it is split
	smallBlock = 32  // it is joined with its neighbour
)

// total is a sum that does not overflow: 128 bits in two's complement.
type total struct {
	high int64
	low  uint64
}

func (t total) plus(o total) total {
	low, carry := bits.Add64(t.low, o.low, 0)
	return total{t.high + o.high + int64(carry), low}
}

func (t total) minus(o total) total {
	low, borrow := bits.Sub64(t.low, o.low, 0)
	return total{t.high - o.high - int64(borrow), low}
}

func whole(n int64) total { return total{n >> 63, uint64(n)} }

func (t total) float() float64 {
	if n := int64(t.low); t.high == n>>63 {
		return float64(n)
	}
	return float64(t.high)*(1<<64) + float64(t.low)
}

// blockFor is the index of the first block whose last entry is not before e.
func (s *sortedTimes) blockFor(e entry) int {
	if n := len(s.blocks); n > 0 && s.blocks[n-1].last().compare(e) < 0 {
		return n // the common case: later than all
	}
	return sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].last().compare(e) >= 0 })
}

func (b *block) last() entry { return b.entries[len(b.entries)-1] }

func (s *sortedTimes) insert(e entry) {
	i := s.blockFor(e)
	if i > 0 && i == len(s.blocks) && len(s.blocks[i-1].entries) < fullBlock {
		i-- // the last block has room
	}
	if i == len(s.blocks) {
		// An emptied sortedTimes has kept a block, which is taken again.
		s.blocks = slices.Grow(s.blocks, 1)[:i+1]
	}
	if entries := s.blocks[i].entries; len(entries) == fullBlock {
		half := fullBlock / 2
		s.blocks = slices.Replace(s.blocks, i, i+1, newBlock(entries[:half]), newBlock(slices.Clone(entries[half:])))
		if s.blocks[i].last().compare(e) < 0 {
			i++
		}
	}
	b := &s.blocks[i]
	at, _ := slices.BinarySearchFunc(b.entries, e, entry.compare)
	b.entries = slices.Insert(b.entries, at, e)
	b.sum = b.sum.plus(whole(e.weight))
	s.sum = s.sum.plus(whole(e.weight))
	s.entries++
}

func newBlock(entries []entry) block {
	b := block{entries: entries}
	for _, e := range entries {
		b.sum = b.sum.plus(whole(e.weight))
	}
	return b
}

// remove takes one entry out, and reports whether it was there.
func (s *sortedTimes) remove(e entry) bool {
	i := s.blockFor(e)
	if i == len(s.blocks) {
		return false
	}
	b := &s.blocks[i]
	at, found := slices.BinarySearchFunc(b.entries, e, entry.compare)
	if !found {
		return false
	}
	b.entries = slices.Delete(b.entries, at, at+1)
	b.sum = b.sum.minus(whole(e.weight))
	s.sum = s.sum.minus(whole(e.weight))
	s.entries--
	switch {
	case len(b.entries) == 0 && len(s.blocks) == 1:
		s.blocks = s.blocks[:0] // with the block, for reuse
	case len(b.entries) == 0:
		s.blocks = slices.Delete(s.blocks, i, i+1)
	case len(b.entries) < smallBlock && i+1 < len(s.blocks) && len(s.blocks[i+1].entries) < smallBlock:
		b.entries = append(b.entries, s.blocks[i+1].entries...)
		b.sum = b.sum.plus(s.blocks[i+1].sum)
		s.blocks = slices.Delete(s.blocks, i+1, i+2)
	}
	return true
}

// until counts the entries up to and including a moment, and sums up their
// weights.
func (s *sortedTimes) until(moment int64) (n int, sum total) {
	i := s.blockFor(after(moment))
	if i < len(s.blocks)/2 {
		for _, b := range s.blocks[:i] {
			n += len(b.entries)
			sum = sum.plus(b.sum)
		}
	} else {
		n, sum = s.entries, s.sum
		for _, b := range s.blocks[i:] {
			n -= len(b.entries)
			sum = sum.minus(b.sum)
		}
	}
	if i == len(s.blocks) {
		return n, sum
	}
	for _, e := range s.blocks[i].entries {
		if e.at > moment {
			break
		}
		n++
		sum = sum.plus(whole(e.weight))
	}
	return n, sum
}

// within counts and sums up the entries of a timespan up to a moment: those
// whose moment is in (moment-timespan, moment].
func (s *sortedTimes) within(timespan time.Duration, moment int64) (n int, sum total) {
	n, sum = s.until(moment)
	before, sumBefore := s.until(moment - int64(timespan))
	return n - before, sum.minus(sumBefore)
}

// after is less than all entries after a moment, and not less than others.
func after(moment int64) entry { return entry{moment + 1, math.MinInt64} }

// before is the last entry before e.
func (s *sortedTimes) before(e entry) (entry, bool) {
	i := sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].entries[0].compare(e) >= 0 }) - 1
	if i < 0 {
		return entry{}, false
	}
	entries := s.blocks[i].entries
	n, _ := slices.BinarySearchFunc(entries, e, entry.compare)
	return entries[n-1], true
}

// floor is the last moment not after the given one.
func (s *sortedTimes) floor(moment int64) (int64, bool) {
	e, ok := s.before(after(moment))
	return e.at, ok
}

// above is the first moment after the given one.
func (s *sortedTimes) above(moment int64) (int64, bool) {
	i := s.blockFor(after(moment))
	if i == len(s.blocks) {
		return 0, false
	}
	entries := s.blocks[i].entries
	n, _ := slices.BinarySearchFunc(entries, after(moment), entry.compare)
	return entries[n].at, true
}
