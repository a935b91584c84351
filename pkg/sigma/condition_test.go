package sigma

import (
	"strings"
	"testing"
)

// written is a condition with all its brackets.
func (e *expression) written(names []string) string {
	var args []string
	for _, arg := range e.args {
		args = append(args, arg.written(names))
	}
	switch e.op {
	case leaf:
		return names[e.selection]
	case not:
		return "(not " + args[0] + ")"
	case and:
		return "(" + strings.Join(args, " and ") + ")"
	}
	return "(" + strings.Join(args, " or ") + ")"
}

func TestParseCondition(t *testing.T) {
	names := []string{"selection", "sel_a", "sel_b", "filter", "_hidden", "1", "all"}
	for text, want := range map[string]string{
		"selection":                        "selection",
		"selection and not filter":         "(selection and (not filter))",
		"sel_a or sel_b and filter":        "(sel_a or (sel_b and filter))",
		"not sel_a and sel_b":              "((not sel_a) and sel_b)",
		"1 of sel_*":                       "(sel_a or sel_b)",
		"all of s*n or filter":             "(selection or filter)",
		"1 of _*":                          "_hidden",
		"all of sel* and 1 of f*":          "((selection and sel_a and sel_b) and filter)",
		" ( sel_a )and( sel_b) ":           "(sel_a and sel_b)",
		"1 and all":                        "(1 and all)", // odd names, not followed by of
		"\n  selection\n  and\tfilter  \n": "(selection and filter)",
	} {
		e, err := newConditionParser(names).parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := e.written(names); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// FuzzCondition: what a condition is read as reads the same again.
func FuzzCondition(f *testing.F) {
	for _, text := range []string{"a and not (b or c)", "1 of x* or all of them", "a | count() > 5", "not not not a", "((((", "1 of", "of of of", "a-b.c*"} {
		f.Add(text)
	}
	names := []string{"a", "b", "c", "xa", "xb", "a-b.c", "_h"}
	f.Fuzz(func(t *testing.T, text string) {
		p := newConditionParser(names)
		e, err := p.parse(text)
		if err != nil {
			return
		}
		once := e.written(names)
		again, err := p.parse(once)
		if err != nil && (strings.Contains(err.Error(), "nested deeper") || strings.Contains(err.Error(), "longer than")) {
			return // brackets and names count, too
		}
		if err != nil {
			t.Fatalf("%q is %s: %v", text, once, err)
		}
		if twice := again.written(names); twice != once {
			t.Errorf("%q is %s, which is %s", text, once, twice)
		}
	})
}
