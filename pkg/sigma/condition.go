package sigma

import (
	"fmt"
	"strings"
)

// expression is a parsed condition: a tree whose leaves name selections.
type expression struct {
	op   operator
	name string // of the selection
	args []*expression
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
)

// parseCondition reads the condition of a rule (Sigma rules specification,
// section Condition) over selections of the given names, in their order.
// An error says where in the text it is.
func parseCondition(text string, names []string) (*expression, error) {
	if len(text) > maxConditionLength {
		return nil, fmt.Errorf("condition is longer than %d bytes", maxConditionLength)
	}
	p := &conditionParser{text: text, names: names}
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

type conditionParser struct {
	text  string
	names []string
	token string // empty at the end
	start int    // of the token
	end   int
	depth int
}

func (p *conditionParser) next() {
	p.start = p.end
	for p.start < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.start]) >= 0 {
		p.start++
	}
	p.end = p.start
	for p.end < len(p.text) && isWord(p.text[p.end]) {
		p.end++
	}
	if p.end == p.start && p.end < len(p.text) {
		p.end++ // a bracket, or what no condition has
	}
	p.token = p.text[p.start:p.end]
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("_-.*", c) >= 0 || c >= 0x80
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
	for _, name := range p.names {
		if name == p.token {
			p.next()
			return &expression{name: name}, nil
		}
	}
	return nil, p.fail("want one of the selections %s", strings.Join(p.names, ", "))
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
	them := strings.EqualFold(p.token, "them")
	glob := parsePattern(p.token)
	var args []*expression
	for _, name := range p.names {
		// What begins with _ is meant only where a pattern says so itself.
		hidden := strings.HasPrefix(name, "_") && !strings.HasPrefix(p.token, "_")
		if !hidden && (them || glob.match(name)) {
			args = append(args, &expression{name: name})
		}
	}
	if len(args) == 0 {
		return nil, p.fail("want them, or a pattern of the selections %s", strings.Join(p.names, ", "))
	}
	p.next()
	return combine(op, args), nil
}

// uses reports whether the condition names the selection.
func (e *expression) uses(name string) bool {
	if e.op == leaf {
		return e.name == name
	}
	for _, arg := range e.args {
		if arg.uses(name) {
			return true
		}
	}
	return false
}
