package stats

import (
	"cmp"
	"maps"
	"slices"
)

// tally counts keys in bounded memory: exactly while there are no more than
// limit of them. Past this the rarer half is forgotten each time, and a count
// may then be too low, by no more than forgotten.
type tally[K comparable] struct {
	limit     int
	counts    map[K]*int
	forgotten int
}

func newTally[K comparable](limit int) *tally[K] {
	return &tally[K]{limit: limit, counts: make(map[K]*int)}
}

// known counts the key if it is held already. Where it is not, insert takes a
// copy of the key that may be kept.
func (t *tally[K]) known(key K) bool {
	n := t.counts[key]
	if n == nil {
		return false
	}
	*n++
	return true
}

func (t *tally[K]) insert(key K) {
	if len(t.counts) == t.limit {
		t.forget()
	}
	n := 1
	t.counts[key] = &n
}

func (t *tally[K]) forget() {
	keys := slices.SortedFunc(maps.Keys(t.counts), func(a, b K) int { return cmp.Compare(*t.counts[a], *t.counts[b]) })
	rarer := keys[:(len(keys)+1)/2]
	t.forgotten += *t.counts[rarer[len(rarer)-1]]
	for _, key := range rarer {
		delete(t.counts, key)
	}
}
