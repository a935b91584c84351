package sigma

import (
	"context"

	"soclab/pkg/event"
)

// Trial tries one rule, plain or a correlation, on events as they come, and
// says why it matches. For a correlation it keeps the events that count, as
// many as its reach allows.
type Trial struct {
	rule       *Rule
	classifier *Classifier
	offset     int64
	batch      event.Batch
	counted    []event.Record
}

// Explanation is why a rule matches an event.
type Explanation struct {
	Reasons []Reason      // the fields that matched, of a correlation those of the rules it refers to
	Window  []event.Event // of a correlation: the events of the group that count, the matching one last
}

// NewTrial begins a trial of a rule.
func NewTrial(rule *Rule, options ...Option) *Trial {
	set := &RuleSet{Rules: []*Rule{rule}}
	return &Trial{rule: rule, classifier: NewClassifier(set, options...), batch: event.Batch{Records: make([]event.Record, 1)}}
}

// Event tries the rule on the next event and reports whether it matches.
func (t *Trial) Event(e event.Event) (Explanation, bool) {
	record := &t.batch.Records[0]
	t.offset++
	*record = event.Record{Event: e, Offset: t.offset}
	verdict := t.classifier.Classify(context.Background(), &t.batch)[0]
	reasons := t.reasons(t.rule, &e)
	if t.rule.Correlation == nil {
		return Explanation{Reasons: reasons}, verdict.RuleID != ""
	}
	if len(reasons) > 0 {
		t.counted = append(t.counted, *record)
	}
	if verdict.RuleID == "" {
		return Explanation{}, false
	}
	return Explanation{Reasons: reasons, Window: t.window(&e)}, true
}

// reasons are those of a plain rule, or of all that a correlation refers to.
func (t *Trial) reasons(r *Rule, e *event.Event) []Reason {
	if r.Correlation == nil {
		return r.Explain(e)
	}
	var all []Reason
	for _, member := range r.Correlation.rules {
		all = append(all, t.reasons(member, e)...)
	}
	return all
}

// window lists the events that share a group with e and count at its time.
func (t *Trial) window(e *event.Event) []event.Event {
	c := t.rule.Correlation
	var window []event.Event
	for i := range t.counted {
		r := &t.counted[i]
		age := e.Timestamp.Sub(r.Timestamp)
		if r.Offset > t.offset-t.classifier.reach && 0 <= age && age < c.Timespan && t.sameGroup(e, &r.Event) {
			window = append(window, r.Event)
		}
	}
	return window
}

func (t *Trial) sameGroup(a, b *event.Event) bool {
	for _, x := range t.groups(a) {
		for _, y := range t.groups(b) {
			if x == y {
				return true
			}
		}
	}
	return false
}

// groups are those that an event counts for.
func (t *Trial) groups(e *event.Event) []fingerprint {
	c := t.rule.Correlation
	var v view
	v.set(e)
	var keys []fingerprint
	for i, member := range c.rules {
		if len(t.reasons(member, e)) == 0 {
			continue
		}
		if key, ok := fingerprintOf(&v, c.keys[i]); ok {
			keys = append(keys, key)
		}
	}
	return keys
}
