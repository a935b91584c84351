package sigma

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"soclab/pkg/event"
)

// networks is a set of address ranges. Those of IPv4 are compared as numbers:
// nearly all rules ask for them, and netip takes longer.
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
	return slices.ContainsFunc(n.v6, func(p netip.Prefix) bool { return p.Contains(a) })
}

func asUint32(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// within compiles the modifier cidr.
func within(f field, texts []string) (matcher, error) {
	if f.kind() != event.KindAddress {
		return matcher{}, fmt.Errorf("modifier cidr is for addresses, and %s is none", f.name)
	}
	var set networks
	for _, t := range texts {
		p, err := parsePrefix(t)
		if err != nil {
			return matcher{}, err
		}
		set.add(p)
	}
	address := event.Field(f.sources[0])
	return matcher{cost: 5, match: func(v *view) bool { return set.contain(address.Address(v.event)) }}, nil
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
