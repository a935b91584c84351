package sigma

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// A filter takes events away from rules (Sigma filters specification): its
// condition is joined to theirs by and, as the reference implementation has
// it, so it usually says not.
type filter struct {
	about   *Rule        // its metadata
	rules   []*yaml.Node // ids or names, nil for any rule of the log source
	source  LogSource
	matcher matcher
}

func (l *loader) filter(root *section) error {
	f := &filter{about: l.current}
	var err error
	if f.source, _, err = logSource(root); err != nil {
		return err
	}
	node := root.values["filter"]
	in, err := mapping(node)
	if err != nil {
		return err
	}
	rules := in.values["rules"]
	if rules == nil || rules.Kind == yaml.SequenceNode && len(rules.Content) == 0 {
		return refuse(node, "a filter needs rules: ids or names, or any")
	}
	if rules.Kind == yaml.SequenceNode || rules.Value != "any" && rules.Value != "all" {
		f.rules = elements(rules)
	}
	if _, f.matcher, err = l.search(node, "rules"); err != nil {
		return err
	}
	l.filters = append(l.filters, f)
	return nil
}

// check refuses a filter that names a rule it cannot be for.
func (f *filter) check(known map[string]*Rule) error {
	for _, node := range f.rules {
		switch r := known[node.Value]; {
		case r == nil:
			return refuse(node, "no rule has the id or name %q, or it was refused", node.Value)
		case r.Correlation != nil:
			return refuse(node, "%q is a correlation: filter the rules that it refers to", r.Title)
		case !f.covers(r.LogSource):
			return refuse(node, "the filter is for the log source %s, but the rule %q for %s", f.source, r.Title, r.LogSource)
		}
	}
	return nil
}

func (f *filter) covers(source LogSource) bool {
	return (f.source.Category == "" || f.source.Category == source.Category) &&
		(f.source.Product == "" || f.source.Product == source.Product) &&
		(f.source.Service == "" || f.source.Service == source.Service)
}

// apply joins the filter to a rule that it is for.
func (f *filter) apply(r *Rule) {
	named := len(f.rules) == 0 || slices.ContainsFunc(f.rules, func(node *yaml.Node) bool {
		return node.Value == r.ID || node.Value == r.Name
	})
	if r.Correlation == nil && named && f.covers(r.LogSource) {
		r.matcher = allOf([]matcher{r.matcher, f.matcher})
	}
}

// applyFilters joins filters to the rules that they are for.
func (l *loader) applyFilters(known map[string]*Rule) {
	filters := l.filters
	l.filters = nil
	for _, f := range filters {
		if err := f.check(known); err != nil {
			l.refused(f.about, err)
			continue
		}
		l.filters = append(l.filters, f)
		for _, r := range l.rules {
			f.apply(r)
		}
	}
}
