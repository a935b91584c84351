package sigma

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"soclab/pkg/event"
)

// spreadKind is a kind that the table does not hold: value_spread, the largest
// number less the smallest. It shows what a new kind takes.
var spreadKind = kind{
	check:   checkSum,
	tallies: func(c *Correlation) func() tally { return func() tally { return &spread{correlation: c} } },
}

type spread struct {
	group
	correlation *Correlation
	numbers     []entry
}

func (t *spread) add(m *member, v *view, _ int) {
	m.value = event.Field(t.correlation.values[0].sources[0]).Int(v.event).Value
	t.numbers = append(t.numbers, entry{m.at, m.value})
}

func (t *spread) forget(m *member) {
	i := slices.Index(t.numbers, entry{m.at, m.value})
	t.numbers = slices.Delete(t.numbers, i, i+1)
}

func (t *spread) measure(m *member) float64 {
	low, high := m.value, m.value
	for _, e := range t.numbers {
		if m.at-int64(t.correlation.Timespan) < e.at && e.at <= m.at {
			low, high = min(low, e.weight), max(high, e.weight)
		}
	}
	return float64(high - low)
}

const spreadRules = `
title: Login
logsource: {category: authentication}
detection: {s: {event.outcome: [failure, success]}, condition: s}
---
title: Spread
correlation: {type: value_spread, rules: [Login], group-by: [source.ip], timespan: 4s, condition: {field: source.bytes, gte: 5}, generate: true}
`

// TestNewKind adds a kind to the table, and nothing else.
func TestNewKind(t *testing.T) {
	if _, err := Parse("test.yml", []byte(spreadRules)); err == nil {
		t.Fatal("value_spread is in the table already: take another kind for this test")
	}
	kinds["value_spread"] = spreadKind
	definitions["value_spread"] = func(c counted) float64 { return float64(c.numbers[len(c.numbers)-1] - c.numbers[0]) }
	t.Cleanup(func() { delete(kinds, "value_spread"); delete(definitions, "value_spread") })

	if _, err := Parse("test.yml", []byte(strings.Replace(spreadRules, "field: source.bytes, ", "", 1))); err == nil ||
		!strings.Contains(err.Error(), "value_spread needs a field") {
		t.Errorf("without a field: %v, want what the kind's check says", err)
	}
	rules := parse(t, spreadRules)
	againstDefinition(t, rules)
	forgetsAll(t, rules)
}

func TestForgetsAll(t *testing.T) { forgetsAll(t, parse(t, everyCorrelation)) }

// forgetsAll reads events, and the same ones again when all of them are out of
// reach: nothing of the first time may count.
func forgetsAll(t *testing.T, rules *RuleSet) {
	t.Helper()
	const reach = 50
	records := randomLogins(rand.New(rand.NewPCG(4, 4)), 500)
	c := newClassifier(rules, reach)
	want := classify(c, &event.Batch{Records: records})
	span := records[len(records)-1].Offset + c.History()
	for range 3 {
		for i := range records {
			records[i].Offset += span
		}
		if got := classify(c, &event.Batch{Records: records}); !slices.Equal(got, want) {
			t.Fatal("events out of reach change verdicts")
		}
	}
	for _, p := range c.partitions {
		for _, s := range p.states {
			s.forget(records[len(records)-1].Offset)
			if len(s.groups) != 0 || s.members.len() != 0 {
				t.Errorf("%s keeps %d groups and %d members of nothing", s.correlation.Type, len(s.groups), s.members.len())
			}
			for _, spare := range s.spare.spare {
				if d, ok := spare.tally.(interface{ kept() int }); ok && d.kept() != 0 {
					t.Errorf("%s keeps %d values of nothing", s.correlation.Type, d.kept())
				}
			}
		}
	}
}

func (d *distincts) kept() int { return len(d.byValue) }
