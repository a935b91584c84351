package sigma

import (
	"cmp"
	"slices"
)

// A matcher is a condition on an event, compiled to a function.
type matcher struct {
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

func constant(o outcome) matcher {
	return matcher{match: func(*view) bool { return o == always }, fixed: o}
}

// allOf joins matchers by and, the cheap ones first: they have no effects, so
// their order does not matter to the result.
func allOf(matchers []matcher) matcher { return join(matchers, never, always) }

// anyOf joins matchers by or.
func anyOf(matchers []matcher) matcher { return join(matchers, always, never) }

// join joins matchers of which one with the decisive outcome decides, and those
// with the other do not matter.
func join(matchers []matcher, decisive, other outcome) matcher {
	var open []matcher
	cost := 0
	for _, m := range matchers {
		switch m.fixed {
		case decisive:
			return m
		case varies:
			open = append(open, m)
			cost += m.cost
		}
	}
	slices.SortStableFunc(open, func(a, b matcher) int { return cmp.Compare(a.cost, b.cost) })
	decides := decisive == always
	joined := matcher{cost: cost}
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

func negate(m matcher) matcher {
	switch m.fixed {
	case never:
		return constant(always)
	case always:
		return constant(never)
	}
	return matcher{cost: m.cost, match: func(v *view) bool { return !m.match(v) }}
}
