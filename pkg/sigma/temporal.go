package sigma

// temporal: the number of rules that events match, in any order; all of the
// rules where the condition is left out (Sigma correlation rules
// specification, section Temporal Proximity).
var temporalKind = kind{
	check:  checkTemporal,
	byRule: true,
	tallies: func(c *Correlation) func() tally {
		of := newDistincts(c)
		return func() tally { return &temporal{distinct{distincts: of}} }
	},
}

func checkTemporal(c *Correlation) error {
	if c.condition.node == nil {
		c.condition.node, c.condition.bounds = c.node, []bound{{comparisons["gte"], float64(len(c.Rules))}}
	}
	return c.checkCondition(false)
}

// temporal counts rules as value_count does values.
type temporal struct{ distinct }

func (t *temporal) add(m *member, _ *view, rule int) { t.count(m, fingerprint{uint64(rule)}) }
