package sigma

import (
	"cmp"
	"slices"
)

// A test is a condition on an event, compiled to a function.
type test struct {
	cost  int // about what it takes, in comparisons of two words
	match func(*view) bool
	fixed outcome // where the event does not matter
}

type outcome int8

const (
	varies outcome = iota
	never
	always
)

func constant(o outcome) test {
	return test{match: func(*view) bool { return o == always }, fixed: o}
}

// allOf joins tests by and, the cheap ones first: tests have no effects, so
// their order does not matter to the result.
func allOf(tests []test) test { return join(tests, never, always) }

// anyOf joins tests by or.
func anyOf(tests []test) test { return join(tests, always, never) }

// join joins tests of which one with the decisive outcome decides, and those
// with the other do not matter.
func join(tests []test, decisive, other outcome) test {
	var open []test
	cost := 0
	for _, t := range tests {
		switch t.fixed {
		case decisive:
			return t
		case varies:
			open = append(open, t)
			cost += t.cost
		}
	}
	slices.SortStableFunc(open, func(a, b test) int { return cmp.Compare(a.cost, b.cost) })
	decides := decisive == always
	joined := test{cost: cost}
	switch len(open) {
	case 0:
		return constant(other)
	case 1:
		return open[0]
	case 2:
		a, b := open[0].match, open[1].match
		if decides {
			joined.match = func(v *view) bool { return a(v) || b(v) }
		} else {
			joined.match = func(v *view) bool { return a(v) && b(v) }
		}
	default:
		joined.match = func(v *view) bool {
			for i := range open {
				if open[i].match(v) == decides {
					return decides
				}
			}
			return !decides
		}
	}
	return joined
}

func negate(t test) test {
	switch t.fixed {
	case never:
		return constant(always)
	case always:
		return constant(never)
	}
	return test{cost: t.cost, match: func(v *view) bool { return !t.match(v) }}
}
