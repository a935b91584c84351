package sigma

import (
	"cmp"
	"context"
	"slices"

	"soclab/pkg/event"
)

// Trial tries one rule, plain or a correlation, on events as they come, and
// says why it matches. For a correlation it keeps the events that count.
type Trial struct {
	rule       *Rule
	classifier *Classifier
	batch      event.Batch    // of the one event that is tried
	counted    []event.Record // members of the correlation's state
}

// Explanation is why a rule matches an event.
type Explanation struct {
	Reasons []Reason      // the fields that matched; of a correlation, those of the rules it refers to
	Window  []event.Event // of a correlation: the events of the group that count, as they were read, the matching one last
}

// NewTrial begins a trial of a rule.
func NewTrial(rule *Rule) *Trial {
	return &Trial{
		rule:       rule,
		classifier: NewClassifier(&RuleSet{Rules: []*Rule{rule}}),
		batch:      event.Batch{Records: make([]event.Record, 1)},
	}
}

// Event tries the rule on the next event and reports whether it matches.
func (t *Trial) Event(e event.Event) (Explanation, bool) {
	record := &t.batch.Records[0]
	*record = event.Record{Event: e, Offset: record.Offset + 1}
	t.classifier.Classify(context.Background(), &t.batch)
	verdict := record.Verdict
	if t.rule.Correlation != nil {
		t.count(*record)
	}
	if verdict.RuleID == "" {
		return Explanation{}, false
	}
	return Explanation{Reasons: reasons(t.rule, &e), Window: t.window()}, true
}

// state is that of the rule, a correlation: the last one in the plan.
func (t *Trial) state() *state {
	states := t.classifier.partitions[partitionKey{}].states
	return states[len(states)-1]
}

// count keeps an event that was just classified if the correlation counts it,
// and drops those that it has forgotten.
func (t *Trial) count(r event.Record) {
	members := t.state().members.from(0)
	if len(members) == 0 {
		return
	}
	if members[len(members)-1].offset == r.Offset {
		t.counted = append(t.counted, r)
	}
	first, _ := t.find(members[0].offset)
	t.counted = t.counted[first:]
}

func (t *Trial) find(offset int64) (int, bool) {
	return slices.BinarySearchFunc(t.counted, offset, func(r event.Record, offset int64) int { return cmp.Compare(r.Offset, offset) })
}

// window lists the events that count at the last one.
func (t *Trial) window() []event.Event {
	if t.rule.Correlation == nil {
		return nil
	}
	var window []event.Event
	for _, offset := range t.state().window() {
		i, _ := t.find(offset)
		window = append(window, t.counted[i].Event)
	}
	return window
}

// reasons are those of a plain rule, or of all that a correlation refers to.
func reasons(r *Rule, e *event.Event) []Reason {
	if r.Correlation == nil {
		return r.Explain(e)
	}
	var all []Reason
	for _, member := range r.Correlation.rules {
		all = append(all, reasons(member, e)...)
	}
	return all
}
