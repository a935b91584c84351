package sigma

import "slices"

// A state is what one correlation remembers of one partition: the events of
// the last reach offsets that count for it, by group. Its memory is bounded by
// their number: each takes 100 to 450 bytes, the more the fewer of them share a
// group and a value, and temporal_ordered some for each rule of each group.
type state struct {
	correlation *Correlation
	reach       int64
	newTally    func() tally

	groups  map[fingerprint]*group
	members queue
	spare   pool[*group] // emptied, with the memory that they had
}

// A tally is what a kind of correlation keeps of the events of one group, in
// whatever order of times they come.
type tally interface {
	of() *group
	// add counts an event that matches one of the correlation's rules.
	add(m *member, v *view, rule int)
	// forget takes back what add did. An emptied tally is used again.
	forget(m *member)
	// measure is what the condition is about, at a member that counts: of the
	// events in the timespan up to its time.
	measure(m *member) float64
}

// group is the events that count together. It is a part of their tally: one
// piece of memory, which a member points to by one word.
type group struct {
	key     fingerprint
	members int
	tally   tally
}

func (g *group) of() *group { return g }

// member is one event that counts, kept in the order of offsets to forget it in
// time.
type member struct {
	offset int64
	at     int64 // its time, in nanoseconds since 1970
	group  *group

	// What the tally needs to forget it.
	value       int64
	occurrences *occurrences
}

func newState(c *Correlation, reach int64) *state {
	return &state{correlation: c, reach: reach, newTally: c.kind.tallies(c), groups: make(map[fingerprint]*group)}
}

// add counts an event that matches some of the correlation's rules, and
// reports whether the condition holds for it.
func (s *state) add(v *view, offset int64, matches func(rule int) bool) bool {
	s.forget(offset - s.reach)
	c := s.correlation
	before := s.members.len()
	for rule := range c.rules {
		if !matches(rule) {
			continue
		}
		key, ok := c.group(v, rule)
		if !ok {
			continue
		}
		g := s.group(key)
		if !c.kind.byRule && slices.ContainsFunc(s.members.from(before), func(m member) bool { return m.group == g }) {
			continue
		}
		g.members++
		g.tally.add(s.members.push(member{offset: offset, at: v.event.Timestamp.UnixNano(), group: g}), v, rule)
	}
	added := s.members.from(before)
	for i := range added {
		if c.met(added[i].group.tally.measure(&added[i])) {
			return true
		}
	}
	return false
}

// group is the one that an event counts for as a match of a rule, if it has
// all of the fields.
func (c *Correlation) group(v *view, rule int) (fingerprint, bool) {
	for i := range c.values {
		if !c.values[i].sources[0].present(v.event) {
			return fingerprint{}, false
		}
	}
	return fingerprintOf(v, c.keys[rule])
}

func (s *state) group(key fingerprint) *group {
	g := s.groups[key]
	if g == nil {
		g = s.spare.get(s.newGroup)
		g.key = key
		s.groups[key] = g
	}
	return g
}

func (s *state) newGroup() *group {
	t := s.newTally()
	t.of().tally = t
	return t.of()
}

// forget removes the events up to and including an offset.
func (s *state) forget(offset int64) {
	for s.members.len() > 0 && s.members.first().offset <= offset {
		m := s.members.first()
		g := m.group
		g.tally.forget(m)
		s.members.pop()
		if g.members--; g.members == 0 {
			delete(s.groups, g.key)
			s.spare.put(g)
		}
	}
}

// window lists the offsets of the events that share a group with the last one
// and are in the timespan up to its time.
func (s *state) window() []int64 {
	all := s.members.from(0)
	last := all[len(all)-1]
	ofLast := all[slices.IndexFunc(all, func(m member) bool { return m.offset == last.offset }):]
	var offsets []int64
	for _, m := range all {
		age := last.at - m.at
		if 0 <= age && age < int64(s.correlation.Timespan) &&
			slices.ContainsFunc(ofLast, func(o member) bool { return o.group == m.group }) {
			offsets = append(offsets, m.offset)
		}
	}
	return slices.Compact(offsets)
}

// queue is first in, first out.
type queue struct {
	members []member
	head    int
}

func (q *queue) len() int            { return len(q.members) - q.head }
func (q *queue) first() *member      { return &q.members[q.head] }
func (q *queue) from(n int) []member { return q.members[q.head+n:] } // all but the first n

// push adds a member, which stays where it is until the next push or pop.
func (q *queue) push(m member) *member {
	q.members = append(q.members, m)
	return &q.members[len(q.members)-1]
}

func (q *queue) pop() {
	q.members[q.head] = member{}
	if q.head++; q.head > len(q.members)/2 {
		q.members = q.members[:copy(q.members, q.members[q.head:])]
		q.head = 0
	}
}

// pool keeps some values that are not in use, so that a state that forgets as
// much as it adds allocates nothing.
type pool[T any] struct{ spare []T }

func (p *pool[T]) get(make func() T) T {
	n := len(p.spare)
	if n == 0 {
		return make()
	}
	x := p.spare[n-1]
	p.spare = p.spare[:n-1]
	return x
}

func (p *pool[T]) put(x T) {
	const most = 1024
	if len(p.spare) < most {
		p.spare = append(p.spare, x)
	}
}
