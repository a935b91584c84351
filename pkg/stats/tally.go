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

// add counts the key; see increment.
func (t *tally[K]) add(key K, keep func() K) {
	if increment(t.counts, key, keep) && len(t.counts) > t.limit {
		t.forget()
	}
}

// increment counts a key that may lie in the read buffer, and reports whether it
// is new: then keep makes a copy of it that stays. The counts are pointers since
// assigning to a map's element also replaces its key.
func increment[K comparable](counts map[K]*int, key K, keep func() K) bool {
	if n := counts[key]; n != nil {
		*n++
		return false
	}
	n := 1
	counts[keep()] = &n
	return true
}

func (t *tally[K]) forget() {
	keys := slices.SortedFunc(maps.Keys(t.counts), func(a, b K) int { return cmp.Compare(*t.counts[a], *t.counts[b]) })
	rarer := keys[:(len(keys)+1)/2]
	t.forgotten += *t.counts[rarer[len(rarer)-1]]
	for _, key := range rarer {
		delete(t.counts, key)
	}
}
