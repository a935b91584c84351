package sigma

// event_count: the number of events (Sigma correlation rules specification,
// section Event Count).
var eventCountKind = kind{
	check:   func(c *Correlation) error { return c.checkCondition(false) },
	tallies: func(c *Correlation) func() tally { return func() tally { return &eventCount{correlation: c} } },
}

type eventCount struct {
	group
	correlation *Correlation
	events      sortedTimes
}

func (t *eventCount) add(m *member, _ *view, _ int) { t.events.insert(entry{at: m.at}) }
func (t *eventCount) forget(m *member)              { t.events.remove(entry{at: m.at}) }

func (t *eventCount) measure(m *member) float64 {
	n, _ := t.events.within(t.correlation.Timespan, m.at)
	return float64(n)
}
