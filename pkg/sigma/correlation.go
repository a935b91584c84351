package sigma

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"soclab/pkg/event"
)

// Correlation is what a rule says that counts the matches of other rules
// (Sigma correlation rules specification).
//
// An event counts where it matches one of the rules and has all fields of
// GroupBy, and the counted field where there is one; it counts once, however
// many of the rules it matches, but in temporal correlations once for each.
// At an event of time t those events of its group count that were read so far
// and whose time is in (t-Timespan, t]. The event is a match where the
// condition holds for them; a temporal_ordered correlation is matched by the
// event that completes the sequence. Nothing is reset by a match.
type Correlation struct {
	Type     string   // one of kinds, such as event_count
	Rules    []string // ids or names, as in the rule
	GroupBy  []string // fields or aliases
	Timespan time.Duration

	kind      kind
	condition condition
	generate  bool      // whether matches of Rules count by themselves, too
	keys      [][]field // by rule, in the order of GroupBy
	values    []field   // that are counted, summed or averaged
	rules     []*Rule   // linked
	node      *yaml.Node
}

// A kind is a type of correlation. Each has a file of its own.
type kind struct {
	// check refuses a condition or fields that the kind has no use for, and
	// completes a condition that may be left out.
	check func(*Correlation) error
	// byRule: an event counts once for each of the rules that it matches,
	// instead of once in all.
	byRule bool
	// tallies gives what makes the tallies of one partition's groups.
	tallies func(*Correlation) func() tally
}

// kinds are the types of correlation that are supported.
var kinds = map[string]kind{
	"event_count":      eventCountKind,
	"value_count":      valueCountKind,
	"value_sum":        valueSumKind,
	"value_avg":        valueAvgKind,
	"temporal":         temporalKind,
	"temporal_ordered": temporalOrderedKind,
}

// condition is what a correlation asks of a measure.
type condition struct {
	node, field *yaml.Node // nil where the rule has none
	bounds      []bound
}

// bound is one comparison of a condition.
type bound struct {
	holds func(measure, value float64) bool
	value float64
}

// comparisons are the keys of a condition, and field, which compares nothing.
var comparisons = map[string]func(measure, value float64) bool{
	"gt":    func(x, value float64) bool { return x > value },
	"gte":   func(x, value float64) bool { return x >= value },
	"lt":    func(x, value float64) bool { return x < value },
	"lte":   func(x, value float64) bool { return x <= value },
	"eq":    func(x, value float64) bool { return x == value },
	"neq":   func(x, value float64) bool { return x != value },
	"field": nil,
}

func (c *Correlation) met(measure float64) bool {
	for _, b := range c.condition.bounds {
		if !b.holds(measure, b.value) {
			return false
		}
	}
	return true
}

const maxCorrelated = 64 // rules of one correlation

var correlationKeys = map[string]bool{"type": true, "rules": true, "group-by": true, "timespan": true,
	"condition": true, "aliases": true, "generate": true}

// correlation reads a correlation rule.
func (l *loader) correlation(root *section) error {
	node := root.values["correlation"]
	in, err := mappingOf(correlationKeys, node)
	if err != nil {
		return err
	}
	c := &Correlation{node: node, Type: in.scalar("type"), Rules: in.texts("rules"), GroupBy: in.texts("group-by")}
	if in.err != nil {
		return in.err
	}
	var known bool
	switch c.kind, known = kinds[c.Type]; {
	case known:
	default:
		return refuse(node, "type %q is not supported: use %s", c.Type, names(kinds))
	}
	if len(c.Rules) == 0 || len(c.Rules) > maxCorrelated {
		return refuse(node, "a correlation needs rules, %d at most", maxCorrelated)
	}
	for i, name := range c.Rules {
		if slices.Contains(c.Rules[:i], name) {
			return refuse(in.values["rules"], "the rule %q comes twice", name)
		}
	}
	if c.Timespan, err = timespan(in); err != nil {
		return err
	}
	if err := c.parseCondition(in.values["condition"]); err != nil {
		return err
	}
	if err := c.resolveGroups(in.values["aliases"]); err != nil {
		return err
	}
	if err := c.kind.check(c); err != nil {
		return err
	}
	// The specification shows generate beside level, its reference
	// implementation reads it inside the section.
	for _, s := range []*section{in, root} {
		if s.values["generate"] == nil {
			continue
		}
		if c.generate, err = boolean(s.values["generate"]); err != nil {
			return err
		}
	}
	if !c.groupsBySource() {
		l.warn(node, "does not group by source.ip: it sees the events of its partition only, and counts less where there are several")
	}
	l.current.Correlation = c
	l.rules = append(l.rules, l.current)
	return nil
}

var timeUnits = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
}

func timespan(in *section) (time.Duration, error) {
	text := in.scalar("timespan")
	if in.err != nil {
		return 0, in.err
	}
	if text == "" {
		return 0, refuse(in.node, "a correlation needs a timespan such as 5m")
	}
	unit := timeUnits[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if most := uint64(366 * 24 * time.Hour); unit == 0 || err != nil || n == 0 || n > most/uint64(unit) {
		return 0, refuse(in.values["timespan"], "timespan %q is not a whole number with s, m, h, d or w, of a year at most", text)
	}
	return time.Duration(n) * unit, nil
}

func (c *Correlation) parseCondition(node *yaml.Node) error {
	if node == nil {
		return nil
	}
	if node.Kind == yaml.ScalarNode {
		return refuse(node, "a condition in words is not supported: use a count such as gte: 2, or leave it out for all rules")
	}
	in, err := mappingOf(comparisons, node)
	if err != nil {
		return err
	}
	c.condition = condition{node: node, field: in.values["field"]}
	names := in.texts("field")
	if in.err != nil {
		return in.err
	}
	for _, name := range names {
		f, err := fieldNamed(name)
		if err != nil {
			return at(c.condition.field, err)
		}
		c.values = append(c.values, f)
	}
	for _, key := range in.keys {
		if comparisons[key] == nil {
			continue
		}
		n, err := parseNumber(in.scalar(key))
		if in.err != nil {
			return in.err
		}
		if err != nil {
			return at(in.values[key], err)
		}
		c.condition.bounds = append(c.condition.bounds, bound{comparisons[key], n})
	}
	if n := len(c.condition.bounds); n == 0 || n > 2 {
		return refuse(node, "a condition has one comparison, or two for a range: gt, gte, lt, lte, eq or neq")
	}
	return nil
}

// checkCondition refuses a correlation that has no condition, or whose condition
// names no field where the kind needs one, or one where it does not.
func (c *Correlation) checkCondition(field bool) error {
	switch {
	case c.condition.node == nil:
		return refuse(c.node, "%s needs a condition such as gte: 10", c.Type)
	case field && len(c.values) == 0:
		return refuse(c.condition.node, "the condition of %s needs a field", c.Type)
	case !field && len(c.values) > 0:
		return refuse(c.condition.field, "the condition of %s has no field: use value_count for distinct values", c.Type)
	}
	return nil
}

// resolveGroups finds the fields of the groups for each rule. An alias stands
// for another field in each rule.
func (c *Correlation) resolveGroups(aliases *yaml.Node) error {
	byAlias := make(map[string]*section)
	if aliases != nil {
		in, err := mapping(aliases)
		if err != nil {
			return err
		}
		for _, alias := range in.keys {
			byRule, err := mapping(in.values[alias])
			if err != nil {
				return err
			}
			for _, rule := range byRule.keys {
				if !slices.Contains(c.Rules, rule) {
					return refuse(byRule.values[rule], "the alias %s names %q, which is not one of the correlation's rules", alias, rule)
				}
				if byRule.scalar(rule); byRule.err != nil {
					return byRule.err
				}
			}
			byAlias[alias] = byRule
		}
	}
	for _, rule := range c.Rules {
		var key []field
		for _, name := range c.GroupBy {
			if byRule := byAlias[name]; byRule != nil {
				if byRule.values[rule] == nil {
					return refuse(c.node, "the alias %s has no field for the rule %s", name, rule)
				}
				name = byRule.scalar(rule)
			}
			f, err := fieldNamed(name)
			if err != nil {
				return at(c.node, err)
			}
			key = append(key, f)
		}
		c.keys = append(c.keys, key)
	}
	return nil
}

// groupsBySource reports whether all events of a group have the same source.
func (c *Correlation) groupsBySource() bool {
	for _, key := range c.keys {
		if !slices.ContainsFunc(key, func(f field) bool { return f.sources[0] == source(event.MustField("source.ip")) }) {
			return false
		}
	}
	return true
}

// link finds the rules that correlations refer to, among those loaded and
// others. A correlation is refused where one is not there, or in a circle.
func (l *loader) link(others map[string]*Rule) {
	for refused := true; refused; {
		known := maps.Clone(others)
		maps.Copy(known, index(l.rules))
		refused = false
		l.rules = slices.DeleteFunc(l.rules, func(r *Rule) bool {
			err := r.link(known)
			if err != nil {
				l.refused(r, err)
				refused = true
			}
			return err != nil
		})
	}
	l.rules = withoutCircles(l.rules, l.refused)
}

// relink makes the correlations of a set refer to its own rules. It leaves out
// those that then go in a circle, with a warning.
func (s *RuleSet) relink() {
	known := index(s.Rules)
	for _, r := range s.Rules {
		if r.Correlation != nil {
			c := *r.Correlation
			r.Correlation = &c
			_ = r.link(known) // what is not in the set stays as it was linked
		}
	}
	s.Rules = withoutCircles(s.Rules, func(r *Rule, err error) { s.Warnings = append(s.Warnings, problem(r, err)) })
}

// withoutCircles leaves out correlations that refer to each other in a circle,
// or too deep.
func withoutCircles(rules []*Rule, refused func(*Rule, error)) []*Rule {
	depths := make(map[*Rule]int)
	return slices.DeleteFunc(rules, func(r *Rule) bool {
		circle := r.depth(depths) > maxDepth
		if circle {
			refused(r, refuse(r.Correlation.node, "correlations refer to each other in a circle, or more than %d deep", maxDepth))
		}
		return circle
	})
}

// index finds rules by id and by name. Ids go before names.
func index(rules []*Rule) map[string]*Rule {
	known := make(map[string]*Rule, 2*len(rules))
	for _, r := range rules {
		if r.Name != "" {
			known[r.Name] = r
		}
	}
	for _, r := range rules {
		known[r.ID] = r
	}
	return known
}

// link finds the rules of a correlation among the known ones: those it was
// linked to before by their ids, wherever these are known.
func (r *Rule) link(known map[string]*Rule) error {
	c := r.Correlation
	if c == nil {
		return nil
	}
	linked := make([]*Rule, len(c.Rules))
	for i, name := range c.Rules {
		if c.rules != nil {
			linked[i] = cmp.Or(known[c.rules[i].ID], c.rules[i])
		} else if linked[i] = known[name]; linked[i] == nil {
			return refuse(c.node, "no rule has the id or name %q, or it was refused", name)
		}
	}
	c.rules = linked
	return nil
}

// silent are the rules whose matches do not count by themselves: correlations
// refer to them, and none asks to generate their matches, too.
func silent(rules []*Rule) map[*Rule]bool {
	result := make(map[*Rule]bool)
	for _, generate := range []bool{false, true} {
		for _, r := range rules {
			if c := r.Correlation; c != nil && c.generate == generate {
				for _, member := range c.rules {
					result[member] = !generate
				}
			}
		}
	}
	return result
}

// maxDepth is how many correlations may stand on each other.
const maxDepth = 8

// depth is the number of levels of correlations, zero for a plain rule, and
// more than maxDepth where they go in a circle. It keeps in known what it finds.
func (r *Rule) depth(known map[*Rule]int) int {
	if r.Correlation == nil {
		return 0
	}
	if depth, ok := known[r]; ok {
		return depth
	}
	known[r] = maxDepth + 1 // met again below, it goes in a circle
	deepest := 0
	for _, member := range r.Correlation.rules {
		deepest = max(deepest, member.depth(known))
	}
	known[r] = min(deepest, maxDepth) + 1
	return known[r]
}
