package sigma

import (
	"fmt"
	"regexp"
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

// expandable are the parts of a text with placeholders: an escape, a
// placeholder, a percent sign that begins none with all behind it, and text.
var expandable = regexp.MustCompile(`(?s)\\.?|%[^%]*%|%.*|[^%\\]+`)

// expand replaces the placeholders of a text: %name% by each of its values in
// turn, \% by a plain percent sign (Sigma rules specification, Placeholders).
// Other escapes are left to the pattern.
func (l *loader) expand(text string) ([]string, error) {
	results := []string{""}
	for _, part := range expandable.FindAllString(text, -1) {
		values := []string{part}
		if part == `\%` {
			values = []string{"%"}
		} else if len(part) > 1 && part[0] == '%' && strings.HasSuffix(part, "%") {
			var known bool
			if values, known = l.placeholders[strings.ToLower(part[1:len(part)-1])]; !known {
				return nil, fmt.Errorf("placeholder %s has no values here: only %%home_net%% is set unless others are given", part)
			}
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
		results = longer
	}
	l.expanded += len(results)
	return results, nil
}
