package sigma

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"soclab/pkg/event"
)

// medianKind is a kind that the table does not hold: value_median, the lower
// one of two. It shows what a new kind takes.
var medianKind = kind{
	check:   func(c *Correlation) error { return c.checkCondition(true) },
	tallies: func(c *Correlation) func() tally { return func() tally { return &median{correlation: c} } },
}

type median struct {
	group
	correlation *Correlation
	numbers     []entry
}

func (t *median) add(m *member, v *view, _ int) {
	m.value = event.Field(t.correlation.values[0].sources[0]).Int(v.event).Value
	t.numbers = append(t.numbers, entry{m.at, m.value})
}

func (t *median) forget(m *member) {
	i := slices.Index(t.numbers, entry{m.at, m.value})
	t.numbers = slices.Delete(t.numbers, i, i+1)
}

func (t *median) measure(m *member) float64 {
	var numbers []int64
	for _, e := range t.numbers {
		if m.at-int64(t.correlation.Timespan) < e.at && e.at <= m.at {
			numbers = append(numbers, e.weight)
		}
	}
	return float64(medianOf(numbers))
}

func medianOf(numbers []int64) int64 {
	slices.Sort(numbers)
	return numbers[(len(numbers)-1)/2]
}

const medianRules = `
title: Login
logsource: {category: authentication}
detection: {s: {event.outcome: [failure, success]}, condition: s}
---
title: Median
correlation: {type: value_median, rules: [Login], group-by: [source.ip], timespan: 4s, condition: {field: source.bytes, gte: 5}}
`

// TestNewKind adds a kind to the table, and nothing else.
func TestNewKind(t *testing.T) {
	if _, err := Parse("test.yml", []byte(medianRules)); err == nil {
		t.Fatal("value_median is in the table already: take another kind for this test")
	}
	kinds["value_median"] = medianKind
	t.Cleanup(func() { delete(kinds, "value_median") })

	if _, err := Parse("test.yml", []byte(strings.Replace(medianRules, "field: source.bytes, ", "", 1))); err == nil ||
		!strings.Contains(err.Error(), "value_median needs a field") {
		t.Errorf("without a field: %v, want what the kind's check says", err)
	}
	rules := parse(t, medianRules)
	const reach = 40
	records := randomLogins(rand.New(rand.NewPCG(8, 8)), 2000)
	hits := 0
	for i, got := range classify(newClassifier(rules, reach), &event.Batch{Records: records}) {
		want := "benign "
		if last := &records[i]; isMedianInput(last) {
			var numbers []int64
			for _, r := range records[:i+1] {
				age := last.Timestamp.Sub(r.Timestamp)
				if isMedianInput(&r) && r.Source.IP == last.Source.IP && r.Offset > last.Offset-reach && 0 <= age && age < 4*time.Second {
					numbers = append(numbers, r.Source.Bytes.Value)
				}
			}
			if medianOf(numbers) >= 5 {
				want = "Median Median"
				hits++
			}
		}
		if got != want {
			t.Fatalf("record %d: %q, want %q", i, got, want)
		}
	}
	if hits < 100 || hits > 1000 {
		t.Errorf("%d hits: the test says little", hits)
	}
	forgetsAll(t, rules)
}

func isMedianInput(r *event.Record) bool { return r.Outcome != "" && r.Source.Bytes.Known }

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
