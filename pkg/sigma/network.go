package sigma

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"soclab/pkg/event"
)

// homeNet is what %home_net% stands for unless it is set otherwise: private
// addresses (RFC 1918, RFC 4193), link-local ones (RFC 3927, RFC 4291) and
// loopback.
var homeNet = []string{
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8",
	"fc00::/7", "fe80::/10", "::1/128",
}

// networks is a set of address ranges.
type networks struct {
	v4 []struct{ address, mask uint32 }
	v6 []netip.Prefix
}

func (n *networks) add(p netip.Prefix) {
	p = p.Masked()
	if !p.Addr().Is4() {
		n.v6 = append(n.v6, p)
		return
	}
	mask := uint32(uint64(0xffffffff) << (32 - p.Bits()))
	n.v4 = append(n.v4, struct{ address, mask uint32 }{asUint32(p.Addr()), mask})
}

func (n *networks) contain(a netip.Addr) bool {
	if a.Is4() {
		address := asUint32(a)
		for i := range n.v4 {
			if address&n.v4[i].mask == n.v4[i].address {
				return true
			}
		}
		return false
	}
	for i := range n.v6 {
		if n.v6[i].Contains(a) {
			return true
		}
	}
	return false
}

func asUint32(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// within compiles the modifier cidr.
func within(f field, texts []string) (test, error) {
	if f.kind() != event.Address {
		return test{}, fmt.Errorf("modifier cidr is for addresses, and %s is none", f.name)
	}
	var set networks
	for _, t := range texts {
		p, err := parsePrefix(t)
		if err != nil {
			return test{}, err
		}
		set.add(p)
	}
	address := event.Field(f.sources[0])
	return test{cost: 5, match: func(v *view) bool { return set.contain(address.Address(v.event)) }}, nil
}

// parsePrefix reads a range of addresses, or one address.
func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, addrErr := netip.ParseAddr(text)
		if addrErr != nil || a.Zone() != "" {
			return p, fmt.Errorf("%q is not a range of addresses such as 10.0.0.0/8 or fe80::/10", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p, nil
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
