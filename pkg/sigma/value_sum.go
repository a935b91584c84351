package sigma

import (
	"strings"

	"soclab/pkg/event"
)

// value_sum and value_avg: the sum of a field's numbers, and their average
// (Sigma correlation rules specification, sections Value Sum and Value
// Average).
var (
	valueSumKind = kind{
		check:   checkSum,
		tallies: func(c *Correlation) func() tally { return func() tally { return &valueSum{correlation: c} } },
	}
	valueAvgKind = kind{
		check:   checkSum,
		tallies: func(c *Correlation) func() tally { return func() tally { return &valueAvg{valueSum{correlation: c}} } },
	}
)

// checkSum makes the condition one on the event's unit.
func checkSum(c *Correlation) error {
	if err := c.checkCondition(true); err != nil {
		return err
	}
	number := c.values[0]
	if len(c.values) > 1 || number.kind() != event.KindInteger {
		names, _ := texts(c.condition.field)
		return refuse(c.condition.field, "%s needs one field that holds numbers, not %s", c.Type, strings.Join(names, ", "))
	}
	for i := range c.condition.bounds {
		c.condition.bounds[i].value *= float64(number.unit)
	}
	return nil
}

type valueSum struct {
	group
	correlation *Correlation
	numbers     sortedTimes // weighed by the field's value
}

func (t *valueSum) add(m *member, v *view, _ int) {
	m.value = event.Field(t.correlation.values[0].sources[0]).Int(v.event).Value
	t.numbers.insert(entry{m.at, m.value})
}

func (t *valueSum) forget(m *member) { t.numbers.remove(entry{m.at, m.value}) }

func (t *valueSum) measure(m *member) float64 {
	_, sum := t.numbers.within(t.correlation.Timespan, m.at)
	return sum.float()
}

type valueAvg struct{ valueSum }

func (t *valueAvg) measure(m *member) float64 {
	n, sum := t.numbers.within(t.correlation.Timespan, m.at)
	return sum.float() / float64(n)
}
