package sigma

import "time"

// value_count: the number of distinct values of a field, or of several
// together (Sigma correlation rules specification, section Value Count).
var valueCountKind = kind{
	check: func(c *Correlation) error { return c.checkCondition(true) },
	tallies: func(c *Correlation) func() tally {
		of := newDistincts(c)
		return func() tally { return &valueCount{distinct{distincts: of}} }
	},
}

type valueCount struct{ distinct }

func (t *valueCount) add(m *member, v *view, _ int) {
	value, _ := fingerprintOf(v, t.correlation.values)
	t.count(m, value)
}

// A distinct counts the distinct values of one group.
//
// Each event of a value covers the timespan from its own time on: the value
// counts at t where any of them covers t. So the number of distinct values at
// t is a sum of steps up and down.
type distinct struct {
	group
	*distincts
	steps sortedTimes
}

// distincts is what the groups of one partition share: most have few values,
// for which a map each would be large.
type distincts struct {
	correlation *Correlation
	byValue     map[fingerprint]*occurrences // of each value in its group
	spare       pool[*occurrences]
}

// occurrences are the times of one value in one group.
type occurrences struct {
	key   fingerprint
	times sortedTimes
}

func newDistincts(c *Correlation) *distincts {
	return &distincts{correlation: c, byValue: make(map[fingerprint]*occurrences)}
}

// count counts an event of a value.
func (t *distinct) count(m *member, value fingerprint) {
	key := t.key.with(value)
	o := t.byValue[key]
	if o == nil {
		o = t.spare.get(func() *occurrences { return new(occurrences) })
		o.key = key
		t.byValue[key] = o
	}
	m.occurrences = o
	t.cover(m, 1)
	o.times.insert(entry{at: m.at})
}

func (t *distinct) forget(m *member) {
	o := m.occurrences
	o.times.remove(entry{at: m.at})
	t.cover(m, -1)
	if o.times.entries == 0 {
		delete(t.byValue, o.key)
		t.spare.put(o)
	}
}

func (t *distinct) measure(m *member) float64 {
	_, sum := t.steps.until(m.at)
	return sum.float()
}

// cover counts a value in, or out, for the time that an event of it adds to
// that which earlier and later events of the value cover.
func (t *distinct) cover(m *member, sign int64) {
	timespan := int64(t.correlation.Timespan / time.Nanosecond)
	begin, end := m.at, m.at+timespan
	if before, ok := m.occurrences.times.floor(m.at); ok {
		begin = max(begin, before+timespan)
	}
	if after, ok := m.occurrences.times.above(m.at); ok {
		end = min(end, after)
	}
	if begin < end {
		t.step(begin, sign)
		t.step(end, -sign)
	}
}

// step adds a step up or down, or takes back an opposite one.
func (t *distinct) step(at, weight int64) {
	if !t.steps.remove(entry{at, -weight}) {
		t.steps.insert(entry{at, weight})
	}
}
