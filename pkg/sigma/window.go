package sigma

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"soclab/pkg/event"
)

// A window is what one correlation remembers of one partition: the events of
// the last reach offsets that count for it, by group and in the order of their
// times. Its memory is bounded by their number: each takes 150 to 700 bytes, the
// more the fewer of them share a group and a value.
type window struct {
	correlation *Correlation
	timespan    int64 // nanoseconds
	reach       int64

	groups  map[fingerprint]*group
	values  map[fingerprint]*timeline // value_count, temporal: the times of each value of a group
	members queue

	hits        []*group    // of the event that is added: groups to look at
	spareGroups pool[group] // emptied, with the memory they had
	spareValues pool[timeline]
}

// group is what counts together. For event_count, value_sum and value_avg its
// line has the time of each event, weighed by the value. For value_count and
// temporal it has the times at which the number of distinct values in the
// timespan before goes up and down. For temporal_ordered it has a line for each
// rule, of times weighed by offsets.
type group struct {
	key     fingerprint
	line    timeline
	steps   []timeline
	members int
}

// member is one event, kept in the order of offsets to forget it in time.
type member struct {
	offset    int64
	at, value int64 // value_sum, value_avg: the field's value
	group     *group
	series    fingerprint // value_count, temporal: the key of its value
	rule      int         // that it matches, of the correlation's
}

func newWindow(c *Correlation, reach int64) *window {
	return &window{
		correlation: c, timespan: int64(c.Timespan), reach: reach,
		groups: make(map[fingerprint]*group), values: make(map[fingerprint]*timeline),
	}
}

// add counts an event that matches some of the correlation's rules, and
// reports whether the condition holds for it.
func (w *window) add(v *view, offset int64, matches func(rule int) bool) bool {
	w.forget(offset - w.reach)
	c := w.correlation
	hit := false
	w.hits = w.hits[:0]
	for rule := range c.rules {
		if !matches(rule) {
			continue
		}
		key, ok := c.group(v, rule)
		if !ok {
			continue
		}
		m := member{offset: offset, at: v.event.Timestamp.UnixNano(), group: w.group(key), rule: rule}
		first := !slices.Contains(w.hits, m.group)
		switch c.Type {
		case "temporal_ordered":
			w.keep(m)
			hit = w.completes(m) || hit
			continue
		case "temporal":
			m.series = key.with(fingerprint{uint64(rule)})
			w.keep(m)
		case "value_count":
			value, _ := fingerprintOf(v, c.values)
			m.series = key.with(value)
		case "value_sum", "value_avg":
			m.value = event.Field(c.values[0].sources[0]).Int(v.event).Value
		}
		if first && c.Type != "temporal" {
			w.keep(m)
		}
		if first {
			w.hits = append(w.hits, m.group)
		}
	}
	for _, g := range w.hits {
		hit = c.met(w.measure(g, v.event.Timestamp.UnixNano())) || hit
	}
	return hit
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

func (w *window) group(key fingerprint) *group {
	g := w.groups[key]
	if g == nil {
		g = w.spareGroups.get()
		g.key = key
		w.groups[key] = g
	}
	return g
}

func (w *window) keep(m member) {
	w.members.push(m)
	m.group.members++
	switch w.correlation.Type {
	case "temporal_ordered":
		if m.group.steps == nil {
			m.group.steps = make([]timeline, len(w.correlation.rules))
		}
		m.group.steps[m.rule].insert(entry{m.at, m.offset})
	case "temporal", "value_count":
		series := w.values[m.series]
		if series == nil {
			series = w.spareValues.get()
			w.values[m.series] = series
		}
		w.cover(&m.group.line, series, m.at, 1)
		series.insert(entry{at: m.at})
	default:
		m.group.line.insert(entry{m.at, m.value})
	}
}

// forget removes the events up to and including an offset.
func (w *window) forget(offset int64) {
	for w.members.len() > 0 && w.members.first().offset <= offset {
		m := w.members.pop()
		switch w.correlation.Type {
		case "temporal_ordered":
			m.group.steps[m.rule].remove(entry{m.at, m.offset})
		case "temporal", "value_count":
			series := w.values[m.series]
			series.remove(entry{at: m.at})
			w.cover(&m.group.line, series, m.at, -1)
			if series.entries == 0 {
				delete(w.values, m.series)
				w.spareValues.put(series)
			}
		default:
			m.group.line.remove(entry{m.at, m.value})
		}
		if m.group.members--; m.group.members == 0 {
			delete(w.groups, m.group.key)
			w.spareGroups.put(m.group)
		}
	}
}

// cover counts a value in, or out, for the time that an event of it at a
// moment adds. Each event of a value covers the timespan from its own time on:
// the value counts at t where any of them covers t. So the number of distinct
// values at t is a sum of steps up and down, in which the time is left out
// that an earlier event of the same value covers too, or a later one.
func (w *window) cover(line, series *timeline, at, sign int64) {
	begin, end := at, at+w.timespan
	if before, ok := series.floor(at); ok {
		begin = max(begin, before+w.timespan)
	}
	if after, ok := series.above(at); ok {
		end = min(end, after)
	}
	if begin < end {
		step(line, begin, sign)
		step(line, end, -sign)
	}
}

// step adds a step up or down, or takes back an opposite one.
func step(line *timeline, at, weight int64) {
	if !line.remove(entry{at, -weight}) {
		line.insert(entry{at, weight})
	}
}

// measure is what the condition is about: of the events of a group in the
// timespan up to a moment.
func (w *window) measure(g *group, at int64) float64 {
	n, sum := g.line.until(at)
	switch w.correlation.Type {
	case "temporal", "value_count":
		return sum.float()
	}
	before, sumBefore := g.line.until(at - w.timespan)
	n -= before
	switch w.correlation.Type {
	case "value_sum":
		return sum.minus(sumBefore).float()
	case "value_avg":
		return sum.minus(sumBefore).float() / float64(n)
	}
	return float64(n)
}

// completes reports whether an event ends a sequence of all rules, one event
// after the other in the order of times, and of offsets where times are equal,
// within the timespan. Going back from the end, the latest event of each rule
// leaves the most room for those before it.
func (w *window) completes(m member) bool {
	if m.rule != len(w.correlation.rules)-1 {
		return false
	}
	next, ok := entry{m.at, m.offset}, true
	for i := m.rule - 1; i >= 0; i-- {
		if next, ok = m.group.steps[i].before(next); !ok || next.at <= m.at-w.timespan {
			return false
		}
	}
	return true
}

// A fingerprint stands for the values of some fields. It has 128 bits, so that
// two different ones are not met in practice, and keeps no text of an event.
type fingerprint [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func fingerprintBytes(b []byte) fingerprint {
	return fingerprint{maphash.Bytes(seeds[0], b), maphash.Bytes(seeds[1], b)}
}

// fingerprintOf is that of the values of fields, each of which must be
// present. Text counts as it is written.
func fingerprintOf(v *view, fields []field) (fingerprint, bool) {
	var room [128]byte
	b := room[:0]
	for i := range fields {
		s := fields[i].sources[0]
		if !s.present(v.event) {
			return fingerprint{}, false
		}
		switch s.kind() {
		case event.KindAddress:
			a := event.Field(s).Address(v.event).As16()
			b = append(b, a[:]...)
		case event.KindInteger:
			b = binary.LittleEndian.AppendUint64(b, uint64(event.Field(s).Int(v.event).Value))
		default:
			t := v.text(s, plain)
			b = binary.LittleEndian.AppendUint64(b, uint64(len(t)))
			b = append(b, t...)
		}
	}
	return fingerprintBytes(b), true
}

// with is the fingerprint of a value within a group.
func (k fingerprint) with(value fingerprint) fingerprint {
	var b [32]byte
	for i, n := range [...]uint64{k[0], k[1], value[0], value[1]} {
		binary.LittleEndian.PutUint64(b[8*i:], n)
	}
	return fingerprintBytes(b[:])
}

// queue is first in, first out.
type queue struct {
	members []member
	head    int
}

func (q *queue) len() int       { return len(q.members) - q.head }
func (q *queue) first() *member { return &q.members[q.head] }
func (q *queue) push(m member)  { q.members = append(q.members, m) }

func (q *queue) pop() member {
	m := q.members[q.head]
	q.members[q.head] = member{}
	if q.head++; q.head > len(q.members)/2 {
		q.members = q.members[:copy(q.members, q.members[q.head:])]
		q.head = 0
	}
	return m
}

// pool keeps some values that are not in use, so that a window that forgets as
// much as it adds allocates nothing.
type pool[T any] struct{ spare []*T }

func (p *pool[T]) get() *T {
	n := len(p.spare)
	if n == 0 {
		return new(T)
	}
	x := p.spare[n-1]
	p.spare = p.spare[:n-1]
	return x
}

func (p *pool[T]) put(x *T) {
	const most = 1024
	if len(p.spare) < most {
		p.spare = append(p.spare, x)
	}
}
