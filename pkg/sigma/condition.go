package sigma

import (
	"fmt"
	"regexp"
	"strings"
)

// expression is a parsed condition: a tree whose leaves are selections.
type expression struct {
	op        operator
	selection int // of a leaf: its place among the names
	args      []*expression
}

type operator int

const (
	leaf operator = iota
	not
	and
	or
)

const (
	maxConditionDepth  = 64
	maxConditionLength = 16 << 10
	maxConditionTerms  = 100_000 // of all conditions of a rule together
)

// conditionParser reads the conditions of a rule (Sigma rules specification,
// section Condition) over its selections.
type conditionParser struct {
	names []string // of the selections, in their order
	place map[string]int
	terms int // selections that were looked at

	text  string
	token string // empty at the end
	start int    // of the token
	end   int
	depth int
}

func newConditionParser(names []string) *conditionParser {
	p := &conditionParser{names: names, place: make(map[string]int, len(names))}
	for i, name := range names {
		p.place[name] = i
	}
	return p
}

// parse reads one condition. An error says where in the text it is.
func (p *conditionParser) parse(text string) (*expression, error) {
	if len(text) > maxConditionLength {
		return nil, fmt.Errorf("condition is longer than %d bytes", maxConditionLength)
	}
	p.text, p.end, p.depth = text, 0, 0
	p.next()
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.token != "" {
		return nil, p.fail("want and, or or the end")
	}
	return e, nil
}

// tokens are words, and single characters such as brackets.
var tokens = regexp.MustCompile(`[\w.*\x{80}-\x{10FFFF}-]+|[^ \t\r\n]`)

func (p *conditionParser) next() {
	found := tokens.FindStringIndex(p.text[p.end:])
	if found == nil {
		found = []int{len(p.text) - p.end, len(p.text) - p.end}
	}
	p.start, p.end = p.end+found[0], p.end+found[1]
	p.token = p.text[p.start:p.end]
}

func (p *conditionParser) fail(format string, args ...any) error {
	found := fmt.Sprintf("at %q", p.token)
	switch p.token {
	case "":
		found = "at the end"
	case "|":
		return fmt.Errorf("condition, character %d: an aggregation after | is Sigma version 1: "+
			"write a correlation rule that refers to this one", p.start+1)
	}
	return fmt.Errorf("condition, character %d, %s: %s", p.start+1, found, fmt.Sprintf(format, args...))
}

// word takes the next token if it is the keyword, in any case.
func (p *conditionParser) word(keyword string) bool {
	if !strings.EqualFold(p.token, keyword) {
		return false
	}
	p.next()
	return true
}

func (p *conditionParser) or() (*expression, error)  { return p.chain(or, "or", p.and) }
func (p *conditionParser) and() (*expression, error) { return p.chain(and, "and", p.not) }

func (p *conditionParser) chain(op operator, keyword string, operand func() (*expression, error)) (*expression, error) {
	first, err := operand()
	if err != nil {
		return nil, err
	}
	args := []*expression{first}
	for p.word(keyword) {
		arg, err := operand()
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return combine(op, args), nil
}

func combine(op operator, args []*expression) *expression {
	if len(args) == 1 {
		return args[0]
	}
	return &expression{op: op, args: args}
}

func (p *conditionParser) not() (*expression, error) {
	if p.depth++; p.depth > maxConditionDepth {
		return nil, p.fail("nested deeper than %d", maxConditionDepth)
	}
	defer func() { p.depth-- }()
	if p.word("not") {
		arg, err := p.not()
		if err != nil {
			return nil, err
		}
		return &expression{op: not, args: []*expression{arg}}, nil
	}
	return p.operand()
}

func (p *conditionParser) operand() (*expression, error) {
	switch {
	case p.word("("):
		e, err := p.or()
		if err == nil && !p.word(")") {
			err = p.fail("want )")
		}
		return e, err
	case p.followedByOf():
		return p.quantified()
	}
	place, known := p.place[p.token]
	if !known {
		return nil, p.fail("want one of the selections %s", strings.Join(p.names, ", "))
	}
	p.next()
	return &expression{selection: place}, p.count(1)
}

func (p *conditionParser) followedByOf() bool {
	ahead := *p
	ahead.next()
	return p.token != "" && strings.EqualFold(ahead.token, "of")
}

// quantified reads "1 of selection*", "all of them" and the like.
func (p *conditionParser) quantified() (*expression, error) {
	op := or
	switch strings.ToLower(p.token) {
	case "1", "any":
	case "all":
		op = and
	default:
		return nil, p.fail("want 1, any or all before of")
	}
	p.next() // of
	p.next()
	if err := p.count(len(p.names)); err != nil {
		return nil, err
	}
	them := strings.EqualFold(p.token, "them")
	glob := parsePattern(p.token)
	var args []*expression
	for i, name := range p.names {
		// What begins with _ is meant only where a pattern says so itself.
		hidden := strings.HasPrefix(name, "_") && !strings.HasPrefix(p.token, "_")
		if !hidden && (them || glob.match(name)) {
			args = append(args, &expression{selection: i})
		}
	}
	if len(args) == 0 {
		return nil, p.fail("want them, or a pattern of the selections %s", strings.Join(p.names, ", "))
	}
	p.next()
	return combine(op, args), nil
}

// count adds to the selections that were looked at, which bounds what a
// condition costs.
func (p *conditionParser) count(n int) error {
	if p.terms += n; p.terms > maxConditionTerms {
		return p.fail("too large: the conditions go through selections more than %d times", maxConditionTerms)
	}
	return nil
}
