package sigma

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"sort"
)

// A timeline is a multiset of weighted moments, in order, with sums over all
// up to a moment. It takes moments in any order: insertion, removal and sums
// cost a block and one step per block at most, whatever the order.
type timeline struct {
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
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.weight, b.weight))
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
func (l *timeline) blockFor(e entry) int {
	if n := len(l.blocks); n > 0 && l.blocks[n-1].last().compare(e) < 0 {
		return n // the common case: later than all
	}
	return sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].last().compare(e) >= 0 })
}

func (b *block) last() entry { return b.entries[len(b.entries)-1] }

func (l *timeline) insert(e entry) {
	i := l.blockFor(e)
	if i == len(l.blocks) {
		if i--; i < 0 || len(l.blocks[i].entries) == fullBlock {
			i++
			l.extend()
		}
	}
	b := &l.blocks[i]
	if len(b.entries) == fullBlock {
		half := fullBlock / 2
		l.blocks = slices.Insert(l.blocks, i+1, block{entries: slices.Clone(b.entries[half:])})
		b = &l.blocks[i]
		b.entries = b.entries[:half]
		b.count()
		l.blocks[i+1].count()
		if b.last().compare(e) < 0 {
			b = &l.blocks[i+1]
		}
	}
	at, _ := slices.BinarySearchFunc(b.entries, e, entry.compare)
	b.entries = slices.Insert(b.entries, at, e)
	b.sum = b.sum.plus(whole(e.weight))
	l.sum = l.sum.plus(whole(e.weight))
	l.entries++
}

// extend adds an empty block at the end: the one that an emptied timeline has
// kept, if there is one.
func (l *timeline) extend() {
	if len(l.blocks) == 0 && cap(l.blocks) > 0 {
		l.blocks = l.blocks[:1]
		return
	}
	l.blocks = append(l.blocks, block{})
}

func (b *block) count() {
	b.sum = total{}
	for _, e := range b.entries {
		b.sum = b.sum.plus(whole(e.weight))
	}
}

// remove takes one entry out, and reports whether it was there.
func (l *timeline) remove(e entry) bool {
	i := l.blockFor(e)
	if i == len(l.blocks) {
		return false
	}
	b := &l.blocks[i]
	at, found := slices.BinarySearchFunc(b.entries, e, entry.compare)
	if !found {
		return false
	}
	b.entries = slices.Delete(b.entries, at, at+1)
	b.sum = b.sum.minus(whole(e.weight))
	l.sum = l.sum.minus(whole(e.weight))
	l.entries--
	switch {
	case len(b.entries) == 0 && len(l.blocks) == 1:
		l.blocks = l.blocks[:0] // with the block, for reuse
	case len(b.entries) == 0:
		l.blocks = slices.Delete(l.blocks, i, i+1)
	case len(b.entries) < smallBlock && i+1 < len(l.blocks) && len(l.blocks[i+1].entries) < smallBlock:
		b.entries = append(b.entries, l.blocks[i+1].entries...)
		b.sum = b.sum.plus(l.blocks[i+1].sum)
		l.blocks = slices.Delete(l.blocks, i+1, i+2)
	}
	return true
}

// until counts the entries up to and including a moment, and sums up their
// weights.
func (l *timeline) until(moment int64) (n int, sum total) {
	i := l.after(moment)
	if i < len(l.blocks)/2 {
		for _, b := range l.blocks[:i] {
			n += len(b.entries)
			sum = sum.plus(b.sum)
		}
	} else {
		n, sum = l.entries, l.sum
		for _, b := range l.blocks[i:] {
			n -= len(b.entries)
			sum = sum.minus(b.sum)
		}
	}
	if i == len(l.blocks) {
		return n, sum
	}
	for _, e := range l.blocks[i].entries {
		if e.at > moment {
			break
		}
		n++
		sum = sum.plus(whole(e.weight))
	}
	return n, sum
}

// after is the index of the first block with an entry after a moment.
func (l *timeline) after(moment int64) int {
	if n := len(l.blocks); n == 0 || l.blocks[n-1].last().at <= moment {
		return n
	}
	return sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].last().at > moment })
}

// before is the last entry before e.
func (l *timeline) before(e entry) (entry, bool) {
	i := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].entries[0].compare(e) >= 0 }) - 1
	if i < 0 {
		return entry{}, false
	}
	entries := l.blocks[i].entries
	n, _ := slices.BinarySearchFunc(entries, e, entry.compare)
	return entries[n-1], true
}

// floor is the last moment not after the given one.
func (l *timeline) floor(moment int64) (int64, bool) {
	e, ok := l.before(entry{moment + 1, math.MinInt64})
	return e.at, ok
}

// above is the first moment after the given one.
func (l *timeline) above(moment int64) (int64, bool) {
	i := l.after(moment)
	if i == len(l.blocks) {
		return 0, false
	}
	entries := l.blocks[i].entries
	n := sort.Search(len(entries), func(k int) bool { return entries[k].at > moment })
	return entries[n].at, true
}
