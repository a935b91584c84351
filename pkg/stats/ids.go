package stats

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"

	"soclab/pkg/event"
)

const (
	// maxIDs is how many event ids are remembered, idSlots the size of the
	// table of their hashes: 12 MiB, of which a short log touches little.
	maxIDs  = 1_250_000
	idSlots = 3 << 19
	// maxExamples is how many repeated ids are named.
	maxExamples = 10
)

// idSet finds event ids that come again. It remembers 64-bit hashes: two of a
// million different ids are taken for the same once in 18 million such logs.
// When it is full it goes on with a sample, the ids whose hash begins with one
// more zero bit. So its size is bounded and its count a fair estimate: a file
// that was published twice shows in any sample.
type idSet struct {
	seed     maphash.Seed
	slots    []uint64 // open addressing; zero is a free slot
	most     int      // hashes held before the sample is halved
	held     int
	sample   int // leading zero bits of the hashes that are looked at
	repeats  int // in the sample
	examples []string
}

func newIDSet(slots, most int) *idSet {
	return &idSet{seed: maphash.MakeSeed(), slots: make([]uint64, slots), most: most}
}

func (s *idSet) add(id string) {
	hash := maphash.String(s.seed, id) | 1 // never a free slot's zero
	if bits.LeadingZeros64(hash) < s.sample {
		return
	}
	if s.insert(hash) {
		if s.held == s.most {
			s.halve()
		}
		return
	}
	s.repeats++
	if len(s.examples) < maxExamples {
		if id := strings.Clone(event.Unescape(id)); !slices.Contains(s.examples, id) {
			s.examples = append(s.examples, id)
		}
	}
}

// insert reports whether the hash was new.
func (s *idSet) insert(hash uint64) bool {
	size := uint64(len(s.slots))
	for i := uint64(uint32(hash)) * size >> 32; ; i++ {
		if i == size {
			i = 0
		}
		switch s.slots[i] {
		case hash:
			return false
		case 0:
			s.slots[i] = hash
			s.held++
			return true
		}
	}
}

// halve forgets the hashes that the next smaller sample does not hold, and
// scales what was counted so far.
func (s *idSet) halve() {
	s.sample++
	s.repeats /= 2
	kept := make([]uint64, 0, s.held/2)
	for _, hash := range s.slots {
		if hash != 0 && bits.LeadingZeros64(hash) >= s.sample {
			kept = append(kept, hash)
		}
	}
	clear(s.slots)
	s.held = 0
	for _, hash := range kept {
		s.insert(hash)
	}
}

// repeated counts the rows whose event id came before.
func (s *idSet) repeated() Repeated {
	return Repeated{Rows: s.repeats << s.sample, Sampled: s.sample > 0, Examples: s.examples}
}
