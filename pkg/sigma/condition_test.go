package sigma

import (
	"strings"
	"testing"
)

// String writes a condition with all its brackets.
func (e *expression) String() string {
	var args []string
	for _, arg := range e.args {
		args = append(args, arg.String())
	}
	switch e.op {
	case leaf:
		return e.name
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
		e, err := parseCondition(text, names)
		if err != nil || e.String() != want {
			t.Errorf("%q: %v, %v; want %s", text, e, err, want)
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
		e, err := parseCondition(text, names)
		if err != nil {
			return
		}
		again, err := parseCondition(e.String(), names)
		if err != nil && strings.Contains(err.Error(), "nested deeper") {
			return // brackets count, too
		}
		if err != nil || again.String() != e.String() {
			t.Errorf("%q is %v, which is %v, %v", text, e, again, err)
		}
	})
}
