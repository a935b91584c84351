package sigma

import (
	"fmt"
	"net/netip"

	"soclab/pkg/event"
)

// within compiles the modifier cidr.
func within(f field, texts []string) (matcher, error) {
	if f.kind() != event.KindAddress {
		return matcher{}, fmt.Errorf("modifier cidr is for addresses, and %s is none", f.name)
	}
	ranges := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		var err error
		if ranges[i], err = parsePrefix(t); err != nil {
			return matcher{}, err
		}
	}
	address := event.Field(f.sources[0])
	return matcher{cost: 5, match: func(v *view) bool {
		a := address.Address(v.event)
		for i := range ranges {
			if ranges[i].Contains(a) {
				return true
			}
		}
		return false
	}}, nil
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
