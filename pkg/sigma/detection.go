package sigma

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// detection reads a plain rule.
func (l *loader) detection(root *yaml.Node, m map[string]*yaml.Node) error {
	r := l.current
	var err error
	if r.LogSource, r.route, err = logSource(root, m["logsource"]); err != nil {
		return err
	}
	if r.selections, r.test, err = l.search(m["detection"]); err != nil {
		return err
	}
	l.rules = append(l.rules, r)
	return nil
}

func logSource(root, node *yaml.Node) (LogSource, route, error) {
	if node == nil {
		return LogSource{}, route{}, refuse(root, "a rule needs a logsource")
	}
	m, err := mapping(node)
	if err != nil {
		return LogSource{}, route{}, err
	}
	var source LogSource
	for key, into := range map[string]*string{
		"category": &source.Category, "product": &source.Product, "service": &source.Service,
	} {
		text, err := scalar(m[key])
		if err != nil {
			return LogSource{}, route{}, err
		}
		*into = strings.ToLower(text)
	}
	r, err := routeOf(source)
	return source, r, at(node, err)
}

// search compiles selections and the condition over them.
func (l *loader) search(node *yaml.Node, other ...string) ([]selection, test, error) {
	m, err := mapping(node)
	if err != nil {
		return nil, test{}, err
	}
	if m["timeframe"] != nil {
		return nil, test{}, refuse(m["timeframe"], "timeframe is Sigma version 1: write a correlation rule that refers to this one")
	}
	if m["condition"] == nil {
		return nil, test{}, refuse(node, "a condition is missing")
	}
	var selections []selection
	for _, name := range keysInOrder(node) {
		if name == "condition" || slices.Contains(other, name) {
			continue
		}
		s := selection{name: name}
		if s.test, err = l.group(&s, m[name], true); err != nil {
			return nil, test{}, err
		}
		selections = append(selections, s)
	}
	t, err := l.condition(m["condition"], selections)
	return selections, t, err
}

// group compiles what a selection is: a map, whose items must all match, or a
// list of maps or keywords, any of which may.
func (l *loader) group(s *selection, node *yaml.Node, lists bool) (test, error) {
	keyword := &yaml.Node{Kind: yaml.ScalarNode, Line: node.Line}
	switch {
	case node.Kind == yaml.MappingNode:
		return l.conjunction(s, node)
	case node.Kind == yaml.SequenceNode && lists && len(node.Content) > 0:
		var tests []test
		for _, n := range node.Content {
			t, err := l.group(s, n, false)
			if err != nil {
				return test{}, err
			}
			tests = append(tests, t)
		}
		return anyOf(tests), nil
	case node.Kind == yaml.ScalarNode && node.Tag != "!!null":
		i, err := l.parseItem(keyword, []*yaml.Node{node})
		s.items = append(s.items, i)
		return i.test, err
	}
	return test{}, refuse(node, "a selection is a map of fields, a list of such maps, or a list of keywords")
}

func (l *loader) conjunction(s *selection, node *yaml.Node) (test, error) {
	if _, err := mapping(node); err != nil {
		return test{}, err
	}
	if len(node.Content) == 0 {
		return test{}, refuse(node, "the selection %s has no fields", s.name)
	}
	var tests []test
	for n := 0; n < len(node.Content); n += 2 {
		key, value := node.Content[n], node.Content[n+1]
		values := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			values = value.Content
		}
		i, err := l.parseItem(key, values)
		if err != nil {
			return test{}, err
		}
		s.items = append(s.items, i)
		tests = append(tests, i.test)
	}
	return all(tests), nil
}

// condition compiles a condition, or a list of them, any of which may hold.
func (l *loader) condition(node *yaml.Node, selections []selection) (test, error) {
	conditions, err := texts(node)
	if err != nil {
		return test{}, err
	}
	names := make([]string, len(selections))
	for i, s := range selections {
		names[i] = s.name
	}
	used := make(map[string]bool)
	var tests []test
	for _, text := range conditions {
		e, err := parseCondition(text, names)
		if err != nil {
			return test{}, at(node, err)
		}
		for _, name := range names {
			used[name] = used[name] || e.uses(name)
		}
		tests = append(tests, e.compile(selections))
	}
	if len(tests) == 0 {
		return test{}, refuse(node, "the condition is empty")
	}
	for _, name := range names {
		if !used[name] {
			l.warn(node, "the condition does not use the selection %s", name)
		}
	}
	return anyOf(tests), nil
}

func (e *expression) compile(selections []selection) test {
	if e.op == leaf {
		i := slices.IndexFunc(selections, func(s selection) bool { return s.name == e.name })
		return selections[i].test
	}
	tests := make([]test, len(e.args))
	for i, arg := range e.args {
		tests[i] = arg.compile(selections)
	}
	switch e.op {
	case not:
		return negate(tests[0])
	case and:
		return all(tests)
	default:
		return anyOf(tests)
	}
}

// A filter takes events away from rules (Sigma filters specification): its
// condition is joined to theirs by and.
type filter struct {
	rule   Rule     // its metadata
	rules  []string // ids or names, nil for any rule of the log source
	source LogSource
	test   test
	node   *yaml.Node // that names the rules
}

func (l *loader) filter(root *yaml.Node, m map[string]*yaml.Node) error {
	f := &filter{rule: *l.current}
	var err error
	if f.source, _, err = logSource(root, m["logsource"]); err != nil {
		return err
	}
	section, err := mapping(m["filter"])
	if err != nil {
		return err
	}
	if f.node = section["rules"]; f.node == nil {
		return refuse(m["filter"], "a filter needs rules: ids or names, or any")
	}
	if f.rules, err = texts(f.node); err != nil {
		return err
	}
	if len(f.rules) == 1 && (f.rules[0] == "any" || f.rules[0] == "all") {
		f.rules = nil
	}
	if _, f.test, err = l.search(m["filter"], "rules"); err != nil {
		return err
	}
	l.filters = append(l.filters, f)
	return nil
}

// applyFilters joins the filters to the rules they name.
func (l *loader) applyFilters() {
	for _, f := range l.filters {
		found := make(map[string]bool)
		for _, r := range l.rules {
			named := slices.Contains(f.rules, r.ID) || slices.Contains(f.rules, r.Name) && r.Name != ""
			found[r.ID], found[r.Name] = true, true
			if r.Correlation == nil && (named || f.rules == nil) && r.LogSource == f.source {
				r.test = all([]test{r.test, f.test})
			}
		}
		for _, name := range f.rules {
			if !found[name] {
				l.refused(&f.rule, at(f.node, fmt.Errorf("no rule has the id or name %q", name)))
			}
		}
	}
}
