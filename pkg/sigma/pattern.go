package sigma

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A pattern is a Sigma string: literal text with the wildcards * (any number
// of characters) and ? (exactly one). It is kept as the pieces between the *:
// "a*b?c" is the pieces "a" and "b?c".
type pattern []piece

// piece is text without *. Where it holds a ?, runes has it with anyRune in
// that place, and text is not used.
type piece struct {
	text  string
	runes []rune
}

const anyRune rune = -1

// parsePattern reads wildcards and escapes as the Sigma rules specification
// has them (section Escaping): a backslash makes a following *, ? or backslash
// plain, and is itself plain before anything else.
func parsePattern(s string) pattern {
	var pieces pattern
	var runes []rune
	ones := false
	end := func() {
		p := piece{text: string(runes)}
		if ones {
			p = piece{runes: runes}
		}
		pieces = append(pieces, p)
		runes, ones = nil, false
	}
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\\' && i+1 < len(s) && strings.IndexByte(`*?\`, s[i+1]) >= 0:
			r, size = rune(s[i+1]), 2
		case r == '*':
			end()
			i += size
			continue
		case r == '?':
			r, ones = anyRune, true
		}
		runes = append(runes, r)
		i += size
	}
	end()
	return pieces
}

// plain is the text of a pattern without wildcards.
func (p pattern) plain() (text string, ok bool) {
	return p[0].text, len(p) == 1 && p[0].runes == nil
}

// prefixed and suffixed add a * at the end and at the beginning, as the
// modifiers startswith and endswith do.
func (p pattern) prefixed() pattern {
	if last := p[len(p)-1]; len(p) > 1 && last.empty() {
		return p
	}
	return append(slices.Clip(p), piece{})
}

func (p pattern) suffixed() pattern {
	if len(p) > 1 && p[0].empty() {
		return p
	}
	return append(pattern{{}}, p...)
}

// folded is the pattern for folded text.
func (p pattern) folded() pattern {
	out := make(pattern, len(p))
	for i, q := range p {
		out[i] = piece{text: foldString(q.text)}
		for _, r := range q.runes {
			out[i].runes = append(out[i].runes, foldRune(r))
		}
	}
	return out
}

// compile makes the function that matches whole texts, a faster one for the most
// common patterns.
func (p pattern) compile() func(string) bool {
	first, last := p[0].text, p[len(p)-1].text
	switch {
	case slices.ContainsFunc(p, func(q piece) bool { return q.runes != nil }):
	case len(p) == 2 && last == "":
		return func(s string) bool { return strings.HasPrefix(s, first) }
	case len(p) == 2 && first == "":
		return func(s string) bool { return strings.HasSuffix(s, last) }
	case len(p) == 3 && first == "" && last == "":
		middle := p[1].text
		return func(s string) bool { return strings.Contains(s, middle) }
	}
	return p.match
}

// match finds the first piece at the beginning, the last at the end, and the
// others between them, each as early as possible.
func (p pattern) match(s string) bool {
	first, last := p[0], p[len(p)-1]
	n, ok := first.prefix(s)
	if !ok {
		return false
	}
	s = s[n:]
	if len(p) == 1 {
		return s == ""
	}
	for _, q := range p[1 : len(p)-1] {
		for n, ok = q.prefix(s); !ok; n, ok = q.prefix(s) {
			if s == "" {
				return false
			}
			_, size := utf8.DecodeRuneInString(s)
			s = s[size:]
		}
		s = s[n:]
	}
	return last.suffix(s)
}

func (q piece) empty() bool { return q.text == "" && q.runes == nil }

// prefix reports whether s begins with the piece, and how many bytes it takes.
func (q piece) prefix(s string) (int, bool) {
	if q.runes == nil {
		return len(q.text), strings.HasPrefix(s, q.text)
	}
	n := 0
	for _, want := range q.runes {
		r, size := utf8.DecodeRuneInString(s[n:])
		if size == 0 || want != anyRune && want != r {
			return 0, false
		}
		n += size
	}
	return n, true
}

func (q piece) suffix(s string) bool {
	if q.runes == nil {
		return strings.HasSuffix(s, q.text)
	}
	for _, v := range slices.Backward(q.runes) {
		r, size := utf8.DecodeLastRuneInString(s)
		if size == 0 || v != anyRune && v != r {
			return false
		}
		s = s[:len(s)-size]
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
