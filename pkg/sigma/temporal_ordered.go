package sigma

// temporal_ordered: events that match all of the rules, one after the other in
// the order of times, and of offsets where times are equal (Sigma correlation
// rules specification, section Ordered Temporal Proximity).
var temporalOrderedKind = kind{
	check:  checkTemporalOrdered,
	byRule: true,
	tallies: func(c *Correlation) func() tally {
		return func() tally { return &temporalOrdered{correlation: c, matches: make([]sortedTimes, len(c.Rules))} }
	},
}

func checkTemporalOrdered(c *Correlation) error {
	if err := checkTemporal(c); err != nil {
		return err
	}
	for matched := range len(c.Rules) + 1 {
		if c.met(float64(matched)) != (matched == len(c.Rules)) {
			return refuse(c.condition.node, "temporal_ordered is supported for all of its rules only: leave the condition out")
		}
	}
	return nil
}

type temporalOrdered struct {
	group
	correlation *Correlation
	matches     []sortedTimes // by rule, weighed by offsets
}

func (t *temporalOrdered) add(m *member, _ *view, rule int) {
	m.value = int64(rule)
	t.matches[rule].insert(entry{m.at, m.offset})
}

func (t *temporalOrdered) forget(m *member) { t.matches[m.value].remove(entry{m.at, m.offset}) }

// measure is the number of rules that are matched in order up to an event of
// the last rule, and 0 for an event of another. Going back, the latest event of
// each rule leaves the most room for those before it.
func (t *temporalOrdered) measure(m *member) float64 {
	last := len(t.matches) - 1
	if m.value != int64(last) {
		return 0
	}
	next, matched := entry{m.at, m.offset}, 1
	for i := last - 1; i >= 0; i-- {
		before, ok := t.matches[i].before(next)
		if !ok || before.at <= m.at-int64(t.correlation.Timespan) {
			break
		}
		next = before
		matched++
	}
	return float64(matched)
}
