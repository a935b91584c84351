package sigma

import (
	"context"

	"soclab/pkg/event"
)

// Trial tries one rule, plain or a correlation, on events as they come, and
// says why it matches. For a correlation it keeps the events that count.
type Trial struct {
	rule       *Rule
	classifier *Classifier
	batch      event.Batch           // of the one event that is tried
	counted    map[int64]event.Event // by offset: members of the correlation's state
	first      int64                 // the lowest of those offsets, or less
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
		counted:    make(map[int64]event.Event),
	}
}

// Event tries the rule on the next event and reports whether it matches.
func (t *Trial) Event(e event.Event) (Explanation, bool) {
	record := &t.batch.Records[0]
	*record = event.Record{Event: e, Offset: record.Offset + 1}
	t.classifier.Classify(context.Background(), &t.batch)
	var state *state
	if t.rule.Correlation != nil {
		states := t.classifier.partitions[partitionKey{}].states
		state = states[len(states)-1] // of the rule: it is the last one in the plan
		t.count(state.members.from(0), record)
	}
	if record.Verdict.RuleID == "" {
		return Explanation{}, false
	}
	why := Explanation{Reasons: reasons(t.rule, &e)}
	if state != nil {
		for _, offset := range state.window() {
			why.Window = append(why.Window, t.counted[offset])
		}
	}
	return why, true
}

// count keeps an event that was just classified if it is a member, and drops
// those before the first member.
func (t *Trial) count(members []member, r *event.Record) {
	if len(members) == 0 {
		return
	}
	if members[len(members)-1].offset == r.Offset {
		t.counted[r.Offset] = r.Event
	}
	for ; t.first < members[0].offset; t.first++ {
		delete(t.counted, t.first)
	}
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
