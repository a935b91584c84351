package sigma

import (
	"slices"
	"strings"

	"soclab/pkg/attack"
	"soclab/pkg/event"
)

// Rule is one Sigma rule, compiled. It is not changed after loading and may
// be used by several goroutines.
type Rule struct {
	ID             string // the rule's id; its name or title where it has none
	Name           string // by which correlations may refer to it
	Title          string
	Status         string // stable, test, experimental, deprecated, or empty
	Description    string
	Level          string // informational (also where the rule has none), low, medium, high or critical
	Author         string
	References     []string
	Tags           []string
	FalsePositives []string
	LogSource      LogSource // of a plain rule

	Techniques []attack.Technique // of the tags that name live ones, in their order
	Tactics    []attack.Tactic

	Correlation *Correlation // nil for a plain rule
	User        bool         // added by With, not one of the default rules

	File string
	Line int // where the rule's document begins

	route      route
	matcher    matcher
	selections []selection
}

// levels are those of rules, the lowest first.
var levels = []string{"informational", "low", "medium", "high", "critical"}

// statuses are those of the specification without unsupported: such a rule
// cannot be used.
var statuses = []string{"stable", "test", "experimental", "deprecated"}

// Matches reports whether a plain rule matches the event, which must come from
// the rule's log source. It is always false for a correlation: see [Trial].
func (r *Rule) Matches(e *event.Event) bool {
	if r.Correlation != nil || !r.route.takes(e) {
		return false
	}
	var v view
	v.set(e)
	return r.matcher.match(&v)
}

// threat is the rule's first technique, and the first of its tactics that is
// one of the technique's: the technique's own first where there is none.
func (r *Rule) threat() (technique, tactic event.Threat) {
	tactics := r.Tactics
	if len(r.Techniques) > 0 {
		t := r.Techniques[0]
		technique = event.Threat{ID: t.ID, Name: t.Name}
		tactics = slices.DeleteFunc(slices.Clone(tactics), func(own attack.Tactic) bool { return !slices.Contains(t.Tactics, own.ID) })
		for _, id := range t.Tactics {
			if first, err := attack.TacticNamed(id); err == nil {
				tactics = append(tactics, first)
			}
		}
	}
	if len(tactics) > 0 {
		tactic = event.Threat{ID: tactics[0].ID, Name: tactics[0].Name}
	}
	return technique, tactic
}

// A Reason is one field of an event that a rule asked for and found.
type Reason struct {
	Selection string `json:"selection"` // of the rule
	Field     string `json:"field"`     // as the rule names it, with its modifiers
	Value     string `json:"value"`     // of the event
}

// Explain says why a plain rule matches an event: the fields of the selections
// that hold. It is empty where the rule does not match, and for a correlation:
// see [Trial].
func (r *Rule) Explain(e *event.Event) []Reason {
	if !r.Matches(e) {
		return nil
	}
	var reasons []Reason
	var v view
	v.set(e)
	for _, s := range r.selections {
		if !s.clause.sure.match(&v) {
			continue
		}
		for _, i := range s.items {
			if i.missing || !i.matcher.match(&v) {
				continue
			}
			for _, from := range i.field.sources {
				if value := v.text(from, plain); value != "" {
					reasons = append(reasons, Reason{s.name, i.node.Value, strings.Clone(value)})
					break
				}
			}
		}
	}
	return reasons
}
