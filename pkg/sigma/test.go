package sigma

import (
	"cmp"
	"slices"
)

// A test is a condition on an event, compiled to a function.
type test struct {
	cost  int // about what it takes, in comparisons of two words
	match func(*view) bool
}

func never(*view) bool { return false }

// all joins tests by and, the cheap ones first: tests have no effects, so
// their order does not matter to the result.
func all(tests []test) test {
	tests, cost := cheapFirst(tests)
	switch len(tests) {
	case 1:
		return tests[0]
	case 2:
		a, b := tests[0].match, tests[1].match
		return test{cost, func(v *view) bool { return a(v) && b(v) }}
	case 3:
		a, b, c := tests[0].match, tests[1].match, tests[2].match
		return test{cost, func(v *view) bool { return a(v) && b(v) && c(v) }}
	}
	return test{cost, func(v *view) bool {
		for i := range tests {
			if !tests[i].match(v) {
				return false
			}
		}
		return true
	}}
}

// any joins tests by or.
func anyOf(tests []test) test {
	tests, cost := cheapFirst(tests)
	switch len(tests) {
	case 1:
		return tests[0]
	case 2:
		a, b := tests[0].match, tests[1].match
		return test{cost, func(v *view) bool { return a(v) || b(v) }}
	}
	return test{cost, func(v *view) bool {
		for i := range tests {
			if tests[i].match(v) {
				return true
			}
		}
		return false
	}}
}

func negate(t test) test {
	return test{t.cost, func(v *view) bool { return !t.match(v) }}
}

func cheapFirst(tests []test) ([]test, int) {
	sorted := slices.Clone(tests)
	slices.SortStableFunc(sorted, func(a, b test) int { return cmp.Compare(a.cost, b.cost) })
	cost := 0
	for _, t := range sorted {
		cost += t.cost
	}
	return sorted, cost
}
