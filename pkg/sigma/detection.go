package sigma

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// detection reads a plain rule.
func (l *loader) detection(root *section) error {
	r := l.current
	var err error
	if r.LogSource, r.route, err = logSource(root); err != nil {
		return err
	}
	if r.selections, r.matcher, err = l.search(root.values["detection"]); err != nil {
		return err
	}
	for _, s := range r.selections {
		for _, i := range s.items {
			if i.isKeywords() && (r.route == logins || r.route == loginLog) {
				l.warn(i.node, "login events have no log message: keywords are looked for in their fields only")
			}
		}
	}
	l.rules = append(l.rules, r)
	return nil
}

// A selection is a named part of a detection: a map matches where all of its
// items do, a list where any of its elements does.
type selection struct {
	name   string
	items  []item
	clause clause
	used   bool // by a condition
}

// A clause is part of a rule, compiled in two ways, which differ where it asks
// for fields that no event holds: sure is true where it holds whatever those
// fields are, maybe where it holds for some of what they could be.
type clause struct{ sure, maybe matcher }

func (i item) clause() clause {
	if i.missing {
		return clause{constant(never), constant(always)}
	}
	return clause{i.matcher, i.matcher}
}

// combined joins clauses by not, and, or or.
func combined(op operator, clauses []clause) clause {
	if op == not {
		return clause{sure: negate(clauses[0].maybe), maybe: negate(clauses[0].sure)}
	}
	sure, maybe := make([]matcher, len(clauses)), make([]matcher, len(clauses))
	for i, c := range clauses {
		sure[i], maybe[i] = c.sure, c.maybe
	}
	if op == and {
		return clause{allOf(sure), allOf(maybe)}
	}
	return clause{anyOf(sure), anyOf(maybe)}
}

// compile makes the clause for a condition over selections, and notes which of
// them it uses.
func (e *expression) compile(selections []selection) clause {
	if e.op == leaf {
		selections[e.selection].used = true
		return selections[e.selection].clause
	}
	clauses := make([]clause, len(e.args))
	for i, arg := range e.args {
		clauses[i] = arg.compile(selections)
	}
	return combined(e.op, clauses)
}

// search reads selections and the condition over them. Keys of other meaning
// are left out.
func (l *loader) search(node *yaml.Node, others ...string) ([]selection, matcher, error) {
	in, err := mapping(node)
	if err != nil {
		return nil, matcher{}, err
	}
	condition := in.values["condition"]
	if timeframe := in.values["timeframe"]; timeframe != nil {
		return nil, matcher{}, refuse(timeframe, "timeframe is Sigma version 1: write a correlation rule that refers to this one")
	}
	if condition == nil {
		return nil, matcher{}, refuse(node, "a condition is missing")
	}
	var selections []selection
	for _, name := range in.keys {
		if name == "condition" || slices.Contains(others, name) {
			continue
		}
		s := selection{name: name}
		if s.clause, err = l.clause(&s, in.values[name], true); err != nil {
			return nil, matcher{}, err
		}
		selections = append(selections, s)
	}
	t, err := l.condition(condition, selections)
	return selections, t, err
}

// clause reads what a selection is: a map, a list of maps or keywords, or one
// keyword.
func (l *loader) clause(s *selection, node *yaml.Node, lists bool) (clause, error) {
	switch {
	case node.Kind == yaml.MappingNode:
		return l.fields(s, node)
	case node.Kind == yaml.SequenceNode && lists && len(node.Content) > 0:
		var parts []clause
		for _, n := range node.Content {
			part, err := l.clause(s, n, false)
			if err != nil {
				return clause{}, err
			}
			parts = append(parts, part)
		}
		return combined(or, parts), nil
	case node.Kind == yaml.ScalarNode && node.Tag != "!!null":
		keyword := &yaml.Node{Kind: yaml.ScalarNode, Line: node.Line}
		return l.leaf(s, keyword, []*yaml.Node{node})
	}
	return clause{}, refuse(node, "a selection is a map of fields, a list of such maps, or a list of keywords")
}

func (l *loader) fields(s *selection, node *yaml.Node) (clause, error) {
	if _, err := mapping(node); err != nil {
		return clause{}, err
	}
	if len(node.Content) == 0 {
		return clause{}, refuse(node, "the selection %s has no fields", s.name)
	}
	var parts []clause
	for pair := range slices.Chunk(node.Content, 2) {
		part, err := l.leaf(s, pair[0], elements(pair[1]))
		if err != nil {
			return clause{}, err
		}
		parts = append(parts, part)
	}
	return combined(and, parts), nil
}

func (l *loader) leaf(s *selection, key *yaml.Node, values []*yaml.Node) (clause, error) {
	i, err := l.parseItem(key, values)
	if err != nil {
		return clause{}, err
	}
	s.items = append(s.items, i)
	return i.clause(), nil
}

// condition compiles a condition, or a list of them, any of which may hold.
// A rule matches only what it surely matches: it is refused where the fields
// that no event holds leave nothing of it.
func (l *loader) condition(node *yaml.Node, selections []selection) (matcher, error) {
	conditions, err := texts(node)
	if err != nil {
		return matcher{}, err
	}
	names := make([]string, len(selections))
	for i, s := range selections {
		names[i] = s.name
	}
	parser := newConditionParser(names)
	var matchers []matcher
	for _, text := range conditions {
		e, err := parser.parse(text)
		if err != nil {
			return matcher{}, at(node, err)
		}
		matchers = append(matchers, e.compile(selections).sure)
	}
	if len(matchers) == 0 {
		return matcher{}, refuse(node, "the condition is empty")
	}
	var missing []item
	for _, s := range selections {
		if !s.used {
			l.warn(node, "the condition does not use the selection %s", s.name)
			continue
		}
		for _, i := range s.items {
			if i.missing {
				missing = append(missing, i)
			}
		}
	}
	t := anyOf(matchers)
	switch {
	case t.fixed == never && len(missing) > 0:
		return matcher{}, refuse(missing[0].node, "events have no field %q, and no event surely matches without it: "+
			"use ECS names such as destination.port, or Sigma's or Zeek's names for them", missing[0].field.name)
	case t.fixed == never:
		return matcher{}, refuse(node, "the rule can never match: no event has these values")
	}
	for _, i := range missing {
		l.warn(i.node, "events have no field %q: the rule goes without what needs it", i.field.name)
	}
	return t, nil
}
