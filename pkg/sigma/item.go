package sigma

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"soclab/pkg/event"
)

// An item is one line of a selection: a field with its modifiers and values.
type item struct {
	node    *yaml.Node // the field with its modifiers, as in the rule
	field   field
	matcher matcher
	missing bool // no event holds the field: matcher is not used
}

// isKeywords reports whether an item names no field: it is about all texts.
func (i item) isKeywords() bool { return i.node.Value == "" || i.node.Value[0] == '|' }

// modifiers are those of one item (Sigma modifiers appendix), sorted out.
type modifiers struct {
	all, cased, expand, fieldref, neq bool

	how  string // what the values are compared by: one of methods, or empty for equality
	part string // of a time: one of timeParts
	re   string // flags of a regular expression
}

// methods are the modifiers that say how values are compared, one of them at
// most, and what they compare.
var methods = map[string]string{
	"contains": "text", "startswith": "text", "endswith": "text",
	"lt": "order", "lte": "order", "gt": "order", "gte": "order",
	"re": "expression", "cidr": "range", "exists": "presence",
}

var timeParts = map[string]func(time.Time) int{
	"minute": time.Time.Minute,
	"hour":   time.Time.Hour,
	"day":    time.Time.Day,
	"week":   func(t time.Time) int { _, week := t.ISOWeek(); return week },
	"month":  func(t time.Time) int { return int(t.Month()) },
	"year":   time.Time.Year,
}

var notForEvents = map[string]string{
	"windash":      "it is made for the dashes of Windows command lines, and events hold none",
	"base64":       "it is made for encoded commands, and events hold none",
	"base64offset": "it is made for encoded commands, and events hold none",
	"utf16":        "it is made for encoded commands, and events are UTF-8",
	"utf16le":      "it is made for encoded commands, and events are UTF-8",
	"utf16be":      "it is made for encoded commands, and events are UTF-8",
	"wide":         "it is made for encoded commands, and events are UTF-8",
}

func parseModifiers(words []string) (modifiers, error) {
	var m modifiers
	flags := map[string]*bool{"all": &m.all, "cased": &m.cased, "expand": &m.expand, "neq": &m.neq, "fieldref": &m.fieldref}
	for _, word := range words {
		switch {
		case flags[word] != nil:
			*flags[word] = true
		case methods[word] != "":
			if m.how != "" {
				return m, fmt.Errorf("modifiers %s and %s cannot be combined", m.how, word)
			}
			m.how = word
		case timeParts[word] != nil:
			if m.part != "" {
				return m, fmt.Errorf("modifiers %s and %s cannot be combined", m.part, word)
			}
			m.part = word
		case word == "i", word == "m", word == "s":
			if m.how != "re" {
				return m, fmt.Errorf("modifier %s belongs after re", word)
			}
			m.re += word
		case notForEvents[word] != "":
			return m, fmt.Errorf("modifier %s is not supported: %s", word, notForEvents[word])
		default:
			return m, fmt.Errorf("modifier %q is not known: use contains, startswith, endswith, all, re (with i, m, s), "+
				"cidr, gt, gte, lt, lte, neq, exists, cased, fieldref, expand, minute, hour, day, week, month or year", word)
		}
	}
	return m, m.check()
}

func (m modifiers) check() error {
	not := func(wrong bool, format string, args ...any) error {
		if !wrong {
			return nil
		}
		return fmt.Errorf(format, args...)
	}
	text, order := m.how == "" || methods[m.how] == "text", methods[m.how] == "order"
	return cmp.Or(
		not(m.cased && !text, "modifier cased cannot be combined with %s", m.how),
		not(m.fieldref && !text, "modifier fieldref cannot be combined with %s", m.how),
		not(m.fieldref && m.expand, "modifiers fieldref and expand cannot be combined"),
		not(m.expand && !text && m.how != "cidr", "modifier expand cannot be combined with %s", m.how),
		not(m.neq && m.all, "modifiers neq and all cannot be combined: neq already means none of the values"),
		not(m.part != "" && m.how != "" && !order, "modifiers %s and %s cannot be combined", m.part, m.how),
		not(m.part != "" && (m.cased || m.expand || m.fieldref), "modifier %s is only for numbers", m.part),
		not(m.how == "exists" && (m.all || m.neq || m.part != ""), "modifier exists stands alone"),
	)
}

// allTexts is what keywords are looked for in. The path and the query of a URL
// are searched together: a keyword may reach from one into the other.
var allTexts = func() field {
	texts := field{name: "keywords", sources: []source{sourceURI}}
	for _, f := range event.Fields() {
		if f.Kind() == event.KindText && f != event.MustField("url.path") && f != event.MustField("url.query") {
			texts.sources = append(texts.sources, source(f))
		}
	}
	return texts
}()

// parseItem compiles the line of a selection with the given key and values.
func (l *loader) parseItem(key *yaml.Node, values []*yaml.Node) (item, error) {
	words := strings.Split(key.Value, "|")
	m, err := parseModifiers(words[1:])
	if err != nil {
		return item{}, at(key, err)
	}
	f, err := fieldNamed(words[0])
	keywords := words[0] == ""
	switch {
	case keywords && (m.fieldref || m.neq || m.part != "" || m.how != "" && m.how != "re" && m.how != "contains"):
		return item{}, refuse(key, "keywords take the modifiers all, cased, contains, expand and re, not %s", key.Value)
	case keywords:
		f, m.how = allTexts, cmp.Or(m.how, "contains")
	case err != nil:
		return item{node: key, field: field{name: words[0]}, missing: true}, nil
	}
	if len(values) == 0 {
		return item{}, refuse(key, "%s has an empty list of values", cmp.Or(key.Value, "a keyword"))
	}
	matchers := make([]matcher, len(values))
	for i, v := range values {
		if keywords && (v.Tag == "!!null" || v.Kind == yaml.ScalarNode && v.Value == "") {
			return item{}, refuse(v, "a keyword cannot be empty")
		}
		if matchers[i], err = l.parseValue(f, m, v); err != nil {
			return item{}, at(v, err)
		}
	}
	var joined matcher
	switch {
	case m.all:
		joined = allOf(matchers)
	case m.how == "" && !m.cased && !m.expand && !m.fieldref && m.part == "" && len(values) > 3 && len(f.sources) == 1:
		joined = anyEqual(f, values, matchers)
	default:
		joined = anyOf(matchers)
	}
	if m.neq {
		// A field that is absent is not known to differ.
		joined = allOf([]matcher{negate(absent(f)), negate(joined)})
		for _, v := range values {
			if other, err := fieldNamed(v.Value); m.fieldref && err == nil {
				joined = allOf([]matcher{negate(absent(other)), joined})
			}
		}
	}
	return item{node: key, field: f, matcher: joined}, nil
}

// parseValue compiles the comparison of a field with one value.
func (l *loader) parseValue(f field, m modifiers, value *yaml.Node) (matcher, error) {
	if value.Kind != yaml.ScalarNode {
		return matcher{}, fmt.Errorf("want a text, a number or null, or a list of them")
	}
	switch {
	case m.how == "exists":
		return exists(f, value)
	case value.Tag == "!!null":
		if m.how != "" || m.fieldref || m.part != "" {
			return matcher{}, fmt.Errorf("null has no %s", cmp.Or(m.how, m.part, "fieldref"))
		}
		return absent(f), nil
	case m.fieldref:
		return compareFields(f, m.how, m.cased, value.Value)
	case m.part != "":
		return timePart(f, m, value)
	case methods[m.how] == "order":
		return compare(f, m.how, value)
	case m.how == "re":
		return matchRegexp(f, m.re, value.Value)
	}
	texts := []string{value.Value}
	if m.expand {
		var err error
		if texts, err = l.expand(value.Value); err != nil {
			return matcher{}, err
		}
	}
	if m.how == "cidr" {
		return within(f, texts)
	}
	matchers := make([]matcher, len(texts))
	for i, t := range texts {
		matchers[i] = l.matchText(f, m, t, value)
	}
	return anyOf(matchers), nil
}

// each compiles a matcher for every source of a field, any of which may match.
func (f field) each(compile func(source) matcher) matcher {
	matchers := make([]matcher, len(f.sources))
	for i, s := range f.sources {
		matchers[i] = compile(s)
	}
	return anyOf(matchers)
}

func exists(f field, value *yaml.Node) (matcher, error) {
	want, err := boolean(value)
	return matcher{cost: 2, match: func(v *view) bool { return f.present(v.event) == want }}, err
}

func absent(f field) matcher {
	first := f.sources[0]
	return matcher{cost: 2, match: func(v *view) bool { return !first.present(v.event) }}
}

// matchText compares with a Sigma string, by the kind of the field: numbers
// and addresses by their value, and by their text where there are wildcards.
// An event does not tell an empty text from an absent one, so the empty
// string means absent, and no other pattern matches what is absent.
func (l *loader) matchText(f field, m modifiers, text string, value *yaml.Node) matcher {
	p := parsePattern(text)
	switch m.how {
	case "contains":
		p = p.suffixed().prefixed()
	case "startswith":
		p = p.prefixed()
	case "endswith":
		p = p.suffixed()
	}
	want, literal := p.plain()
	if literal && want == "" {
		return absent(f)
	}
	return f.each(func(s source) matcher {
		switch {
		case literal && s.kind() == event.KindInteger:
			if low, high, err := bounds("", want, value, f.unit); err == nil && low <= high {
				return inRange(s, low, high)
			}
		case literal && s.kind() == event.KindAddress:
			if a, err := netip.ParseAddr(want); err == nil {
				a = a.Unmap()
				field := event.Field(s)
				return matcher{cost: 2, match: func(v *view) bool { return field.Address(v.event) == a }}
			}
		case m.cased:
			return matchPattern(s, plain, p)
		default:
			return matchPattern(s, folded, p.folded())
		}
		hint := ""
		if _, err := netip.ParsePrefix(want); err == nil && m.how == "" {
			hint = fmt.Sprintf("; a range of them needs %s|cidr", f.name)
		}
		l.warn(value, "%s is never %q: it holds %s%s", f.name, text, kindNames[s.kind()], hint)
		return constant(never)
	})
}

// wholeNumber reads decimal text, and YAML's other notations where the value
// is not quoted.
func wholeNumber(text string, value *yaml.Node) (n int64, ok bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && value.Tag == "!!int" {
		err = value.Decode(&n)
	}
	return n, err == nil
}

var kindNames = map[event.Kind]string{
	event.KindInteger: "whole numbers",
	event.KindAddress: "addresses",
}

func matchPattern(s source, form int, p pattern) matcher {
	if want, literal := p.plain(); literal {
		return s.element(form, matcher{cost: 2, match: func(v *view) bool { return v.text(s, form) == want }},
			func(t string) bool { return t == want })
	}
	match := p.compile()
	return s.element(form, matcher{cost: 25, match: func(v *view) bool {
		t := v.text(s, form)
		return t != "" && match(t)
	}}, match)
}

// lists are the fields whose text is several values with commas between them:
// the protocols of a connection (Zeek's service is a set), the answers of the
// DNS. A rule matches them by any value.
var lists = map[source]bool{
	source(event.MustField("network.protocol")): true,
	source(event.MustField("dns.answers")):      true,
}

// element extends a matcher of a field's text to the elements of a list.
func (s source) element(form int, whole matcher, match func(string) bool) matcher {
	if !lists[s] {
		return whole
	}
	return matcher{cost: whole.cost + 1, match: func(v *view) bool {
		return whole.match(v) || slices.ContainsFunc(listed(v.text(s, form)), match)
	}}
}

// listed are the elements of a list of more than one.
func listed(text string) []string {
	if strings.IndexByte(text, ',') < 0 {
		return nil
	}
	return strings.Split(text, ",")
}

// anyEqual compares a field of one source with many plain values at once, and by
// their matchers with others.
func anyEqual(f field, values []*yaml.Node, matchers []matcher) matcher {
	s := f.sources[0]
	var rest []matcher
	var numbers []int64
	texts := make(map[string]struct{})
	for i, value := range values {
		want, literal := parsePattern(value.Value).plain()
		n, isNumber := wholeNumber(want, value)
		switch {
		case value.Tag == "!!null" || !literal || want == "":
			rest = append(rest, matchers[i])
		case s.kind() == event.KindText:
			texts[foldString(want)] = struct{}{}
		case s.kind() == event.KindInteger && isNumber && f.unit == 1:
			numbers = append(numbers, n)
		default:
			rest = append(rest, matchers[i])
		}
	}
	if len(texts) > 0 {
		among := func(t string) bool { _, ok := texts[t]; return ok }
		rest = append(rest, s.element(folded, matcher{cost: 8, match: func(v *view) bool { return among(v.text(s, folded)) }}, among))
	}
	if len(numbers) > 0 {
		rest = append(rest, amongNumbers(s, numbers))
	}
	return anyOf(rest)
}

// amongNumbers is a binary search: faster than a map for what a rule lists.
func amongNumbers(s source, numbers []int64) matcher {
	slices.Sort(numbers)
	field := event.Field(s)
	return matcher{cost: 8, match: func(v *view) bool {
		n := field.Int(v.event)
		if !n.Known {
			return false
		}
		_, ok := slices.BinarySearch(numbers, n.Value)
		return ok
	}}
}

func inRange(s source, low, high int64) matcher {
	field := event.Field(s)
	return matcher{cost: 2, match: func(v *view) bool {
		n := field.Int(v.event)
		return n.Known && low <= n.Value && n.Value <= high
	}}
}

// compare compares numbers: lt, lte, gt, gte.
func compare(f field, how string, value *yaml.Node) (matcher, error) {
	if f.kind() != event.KindInteger {
		return matcher{}, fmt.Errorf("modifier %s compares numbers, and %s is none", how, f.name)
	}
	low, high, err := bounds(how, value.Value, value, f.unit)
	return inRange(f.sources[0], low, high), err
}

// bounds are the whole numbers of an event that compare with value as asked
// for, in the event's unit; none where low is above high. An empty how means
// equal. They are exact, whatever the size of the number.
func bounds(how, text string, value *yaml.Node, unit int64) (low, high int64, err error) {
	exact := new(big.Rat)
	if n, ok := wholeNumber(text, value); ok {
		exact.SetInt64(n)
	} else if _, err := parseNumber(text); err != nil {
		return 0, 0, err
	} else if _, ok := exact.SetString(text); !ok {
		return 0, 0, fmt.Errorf("want a decimal number, not %q", text)
	}
	exact.Mul(exact, new(big.Rat).SetInt64(unit))
	one := big.NewInt(1)
	down, rest := new(big.Int).DivMod(exact.Num(), exact.Denom(), new(big.Int))
	up := new(big.Int).Set(down)
	if rest.Sign() > 0 {
		up.Add(up, one)
	}
	least, most := big.NewInt(math.MinInt64), big.NewInt(math.MaxInt64)
	from, to := up, down
	switch how {
	case "lt":
		from, to = least, up.Sub(up, one)
	case "lte":
		from = least
	case "gt":
		from, to = down.Add(down, one), most
	case "gte":
		to = most
	}
	if from.Cmp(least) < 0 {
		from = least
	}
	if to.Cmp(most) > 0 {
		to = most
	}
	if from.Cmp(to) > 0 {
		return 1, 0, nil
	}
	return from.Int64(), to.Int64(), nil
}

func parseNumber(text string) (float64, error) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("want a number, not %q", text)
	}
	return x, nil
}

func timePart(f field, m modifiers, value *yaml.Node) (matcher, error) {
	if f.kind() != event.KindTime {
		return matcher{}, fmt.Errorf("modifier %s is for times, and %s is none: use @timestamp", m.part, f.name)
	}
	low, high, err := bounds(m.how, value.Value, value, 1)
	part := timeParts[m.part]
	return matcher{cost: 20, match: func(v *view) bool {
		n := int64(part(v.event.Timestamp.UTC()))
		return low <= n && n <= high
	}}, err
}

// compareFields compares a field with another one of the same event. Both
// must be present.
func compareFields(f field, how string, cased bool, name string) (matcher, error) {
	other, err := fieldNamed(name)
	if err != nil {
		return matcher{}, err
	}
	form := folded
	if cased {
		form = plain
	}
	same := map[string]func(a, b string) bool{
		"":         func(a, b string) bool { return a == b },
		"contains": strings.Contains, "startswith": strings.HasPrefix, "endswith": strings.HasSuffix,
	}[how]
	return f.each(func(a source) matcher {
		return other.each(func(b source) matcher {
			return matcher{cost: 20, match: func(v *view) bool {
				return a.present(v.event) && b.present(v.event) && same(v.text(a, form), v.text(b, form))
			}}
		})
	}), nil
}
