package sigma

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// matchRegexp compiles a regular expression. Go's are RE2: they take time
// linear in the text, and have no lookaround and no backreferences.
func matchRegexp(f field, flags, text string) (matcher, error) {
	if flags != "" {
		text = "(?" + flags + ")" + text
	}
	re, err := compileRegexp(text)
	if err != nil {
		return matcher{}, err
	}
	need := requirementsOf(text)
	return f.each(func(s source) matcher {
		return s.element(plain, matcher{cost: 200, match: func(v *view) bool {
			t := v.text(s, plain)
			return t != "" && need.metBy(v, s) && re.MatchString(t)
		}}, re.MatchString)
	}), nil
}

var backreference = regexp.MustCompile(`(^|[^\\])(\\\\)*\\([1-9]|k[<{'])`)

func compileRegexp(text string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(text)
	var bad *syntax.Error
	if !errors.As(err, &bad) {
		return re, err
	}
	switch {
	case strings.HasPrefix(bad.Expr, "(?=") || strings.HasPrefix(bad.Expr, "(?!") || strings.HasPrefix(bad.Expr, "(?<"):
		return nil, fmt.Errorf("regular expression with lookaround, %s: RE2 expressions have none; "+
			"write it as a second selection", bad.Expr)
	case backreference.MatchString(text):
		return nil, fmt.Errorf("regular expression with a backreference: RE2 expressions have none")
	}
	return nil, fmt.Errorf("regular expression (RE2 syntax): %s: %s", bad.Code, bad.Expr)
}

// requirements are what every text that an expression matches has: a length,
// and one of some words at least. Most texts of an event lack them, and
// looking for them is much cheaper than matching.
type requirements struct {
	length int      // bytes
	words  []string // folded; none are required where it is empty
}

func (n *requirements) metBy(v *view, s source) bool {
	t := v.text(s, plain)
	if len(t) < n.length {
		return false
	}
	if len(n.words) == 0 {
		return true
	}
	t = v.text(s, folded)
	return slices.ContainsFunc(n.words, func(w string) bool { return strings.Contains(t, w) })
}

func requirementsOf(text string) requirements {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return requirements{}
	}
	return requirements{length: minLength(tree), words: requiredWords(tree)}
}

// minLength is a lower bound: it takes every character for one byte.
func minLength(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return minLength(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min * minLength(re.Sub[0])
	case syntax.OpConcat:
		n := 0
		for _, sub := range re.Sub {
			n += minLength(sub)
		}
		return n
	case syntax.OpAlternate:
		n := minLength(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			n = min(n, minLength(sub))
		}
		return n
	}
	return 0
}

// requiredWords finds words one of which every match holds.
func requiredWords(re *syntax.Regexp) []string {
	const most = 32 // more words are not cheaper than the expression
	switch re.Op {
	case syntax.OpLiteral:
		if len(re.Rune) > 1 {
			return []string{foldString(string(re.Rune))}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return requiredWords(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return requiredWords(re.Sub[0])
		}
	case syntax.OpConcat: // the words of its best part
		var best []string
		for _, sub := range re.Sub {
			// Words whose shortest is longer are probably met less often.
			if words := requiredWords(sub); shortest(words) > shortest(best) {
				best = words
			}
		}
		return best
	case syntax.OpAlternate: // those of all its parts
		var all []string
		for _, sub := range re.Sub {
			words := requiredWords(sub)
			if len(words) == 0 || len(all)+len(words) > most {
				return nil
			}
			all = append(all, words...)
		}
		return all
	}
	return nil
}

// shortest is the length of the shortest word, 0 where there is none.
func shortest(words []string) int {
	if len(words) == 0 {
		return 0
	}
	return len(slices.MinFunc(words, func(a, b string) int { return cmp.Compare(len(a), len(b)) }))
}
