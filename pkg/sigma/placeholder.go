package sigma

import (
	"fmt"
	"strings"
)

// Placeholder gives the values of a placeholder for the modifier expand, which
// replace those it has. The name is without percent signs: home_net is the
// home network, private addresses unless it is set here.
func Placeholder(name string, values ...string) LoadOption {
	return func(l *loader) { l.placeholders[strings.ToLower(name)] = values }
}

// homeNet is what %home_net% stands for unless it is set otherwise: private
// addresses (RFC 1918, RFC 4193), link-local ones (RFC 3927, RFC 4291) and
// loopback.
var homeNet = []string{
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8",
	"fc00::/7", "fe80::/10", "::1/128",
}

const maxExpanded = 100_000 // values of placeholders in one file

// expand replaces the placeholders of a text: %name% by each of its values in
// turn, \% by a plain percent sign (Sigma rules specification, Placeholders).
func (l *loader) expand(text string) ([]string, error) {
	results := []string{""}
	for rest := text; rest != ""; {
		values, n, err := l.expandFirst(rest)
		if err != nil {
			return nil, err
		}
		if len(results)*len(values) > maxExpanded-l.expanded {
			return nil, fmt.Errorf("the placeholders of a file stand for more than %d values", maxExpanded)
		}
		var longer []string
		for _, r := range results {
			for _, v := range values {
				longer = append(longer, r+v)
			}
		}
		results, rest = longer, rest[n:]
	}
	l.expanded += len(results)
	return results, nil
}

// expandFirst says what the first n bytes of a text stand for.
func (l *loader) expandFirst(text string) (values []string, n int, err error) {
	switch text[0] {
	case '\\':
		if strings.HasPrefix(text, `\%`) {
			return []string{"%"}, 2, nil
		}
		n = min(2, len(text)) // an escape of the pattern, left to it
	case '%':
		name, _, closed := strings.Cut(text[1:], "%")
		if !closed {
			return []string{text}, len(text), nil
		}
		values, known := l.placeholders[strings.ToLower(name)]
		if !known {
			return nil, 0, fmt.Errorf("placeholder %%%s%% has no values here: only %%home_net%% is set unless others are given", name)
		}
		return values, len(name) + 2, nil
	default:
		if n = strings.IndexAny(text, `%\`); n < 0 {
			n = len(text)
		}
	}
	return []string{text[:n]}, n, nil
}
