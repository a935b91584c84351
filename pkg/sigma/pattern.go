package sigma

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A pattern is a Sigma string: characters and wildcards.
type pattern []rune

const (
	anyRune rune = -1 - iota // ?, exactly one character
	anyText                  // *, any number of characters
)

// parsePattern reads wildcards and escapes as the Sigma rules specification
// has them (section Escaping): a backslash makes a following *, ? or backslash
// plain, and is itself plain before anything else.
func parsePattern(s string) pattern {
	p := make(pattern, 0, len(s))
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\\' && i+1 < len(s) && strings.IndexByte(`*?\`, s[i+1]) >= 0:
			r, size = rune(s[i+1]), 2
		case r == '*':
			r = anyText
		case r == '?':
			r = anyRune
		}
		p = append(p, r)
		i += size
	}
	return p
}

// plain is the text of a pattern without wildcards.
func (p pattern) plain() (text string, ok bool) {
	return string(p), !slices.ContainsFunc(p, func(r rune) bool { return r < 0 })
}

func (p pattern) opens() bool { return len(p) > 0 && p[0] == anyText }
func (p pattern) ends() bool  { return len(p) > 0 && p[len(p)-1] == anyText }

// prefixed and suffixed add a * at the end and at the beginning, as the
// modifiers startswith and endswith do.
func (p pattern) prefixed() pattern {
	if p.ends() {
		return p
	}
	return append(slices.Clip(p), anyText)
}

func (p pattern) suffixed() pattern {
	if p.opens() {
		return p
	}
	return append(pattern{anyText}, p...)
}

// folded is the pattern for folded text.
func (p pattern) folded() pattern {
	out := make(pattern, len(p))
	for i, r := range p {
		out[i] = foldRune(r)
	}
	return out
}

// compile makes the function that matches whole texts, a faster one for the most
// common patterns.
func (p pattern) compile() func(string) bool {
	inner, opens, ends := p, p.opens(), p.ends()
	if opens {
		inner = inner[1:]
	}
	if inner.ends() {
		inner = inner[:len(inner)-1]
	}
	text, plain := inner.plain()
	switch {
	case !plain:
		return p.match
	case opens && ends:
		return func(s string) bool { return strings.Contains(s, text) }
	case opens:
		return func(s string) bool { return strings.HasSuffix(s, text) }
	case ends:
		return func(s string) bool { return strings.HasPrefix(s, text) }
	}
	return func(s string) bool { return s == text }
}

// match lets each * stand for as little as possible, and for one character
// more whenever what follows it is not there.
func (p pattern) match(s string) bool {
	rest, lastStar, tail := p, pattern(nil), "" // tail is what the last * has not taken of s
	for s != "" || len(rest) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case rest.opens():
			rest = rest[1:]
			lastStar, tail = rest, s
		case len(rest) > 0 && size > 0 && (rest[0] == anyRune || rest[0] == r):
			rest, s = rest[1:], s[size:]
		case tail != "":
			_, size = utf8.DecodeRuneInString(tail)
			tail = tail[size:]
			rest, s = lastStar, tail
		default:
			return false
		}
	}
	return true
}

// Folded text compares equal where Sigma's case-insensitive comparison does:
// every character stands for all those that Unicode's simple case folding
// makes equal to it.

// foldRune is the smallest character of those, but the small letter in ASCII.
func foldRune(r rune) rune {
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}

func foldString(s string) string {
	if isFolded(s) {
		return s
	}
	return string(appendFolded(nil, s))
}

// isFolded reports whether s is ASCII without capital letters, as most texts
// of an event are.
func isFolded(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

func appendFolded(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[i]) // not UTF-8: kept as it is
		} else {
			dst = utf8.AppendRune(dst, foldRune(r))
		}
		i += size
	}
	return dst
}
