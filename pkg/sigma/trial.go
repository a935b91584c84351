package sigma

import (
	"context"
	"slices"

	"soclab/pkg/event"
)

// Trial tries one rule, plain or a correlation, on events as they come, and
// says why it matches. For a correlation it keeps the events that count, as
// far as the reach goes.
type Trial struct {
	rule       *Rule
	classifier *Classifier
	batch      event.Batch // of the one event that is tried
	counted    []counted
}

// counted is an event that counts for a correlation, and its groups.
type counted struct {
	record event.Record
	groups []fingerprint
}

// Explanation is why a rule matches an event.
type Explanation struct {
	Reasons []Reason      // the fields that matched; of a correlation, those of the rules it refers to
	Window  []event.Event // of a correlation: the events of the group that count, as they were read, the matching one last
}

// NewTrial begins a trial of a rule.
func NewTrial(rule *Rule, options ...Option) *Trial {
	return &Trial{
		rule:       rule,
		classifier: NewClassifier(&RuleSet{Rules: []*Rule{rule}}, options...),
		batch:      event.Batch{Records: make([]event.Record, 1)},
	}
}

// Event tries the rule on the next event and reports whether it matches.
func (t *Trial) Event(e event.Event) (Explanation, bool) {
	record := &t.batch.Records[0]
	*record = event.Record{Event: e, Offset: record.Offset + 1}
	t.classifier.Classify(context.Background(), &t.batch)
	verdict := record.Verdict
	last := t.count(*record)
	if verdict.RuleID == "" {
		return Explanation{}, false
	}
	return Explanation{Reasons: reasons(t.rule, &e), Window: t.window(last)}, true
}

// count keeps an event that was just classified if the correlation counts it.
func (t *Trial) count(r event.Record) counted {
	c := t.rule.Correlation
	if c == nil {
		return counted{}
	}
	first := slices.IndexFunc(t.counted, func(k counted) bool { return k.record.Offset > r.Offset-t.classifier.reach })
	if first < 0 {
		first = len(t.counted)
	}
	t.counted = t.counted[first:]
	k := counted{record: r}
	for i, member := range t.classifier.plan[len(t.classifier.plan)-1].members {
		if key, ok := c.group(&t.classifier.view, i); ok && t.classifier.matched.has(member) {
			k.groups = append(k.groups, key)
		}
	}
	if len(k.groups) > 0 {
		t.counted = append(t.counted, k)
	}
	return k
}

// window lists the events that share a group with the last one and count at
// its time.
func (t *Trial) window(last counted) []event.Event {
	var window []event.Event
	for _, k := range t.counted {
		age := last.record.Timestamp.Sub(k.record.Timestamp)
		shared := slices.ContainsFunc(k.groups, func(g fingerprint) bool { return slices.Contains(last.groups, g) })
		if shared && 0 <= age && age < t.rule.Correlation.Timespan {
			window = append(window, k.record.Event)
		}
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
