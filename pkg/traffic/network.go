package traffic

import (
	"net/netip"
	"slices"
	"strconv"
)

// network is the company whose traffic is generated: its machines, its people
// and the places on the internet that they use. Addresses are drawn anew with
// every seed, so that no rule can know them.
type network struct {
	site     byte // 10.site.0.0/16
	domain   string
	stations []station
	visitors []station // places on the internet that the public web server is seen from

	resolvers                                       [2]netip.Addr // the domain controllers
	files, mail, web, vpn, jump, app, database, git netip.Addr
	backup, monitor, scanner, printer, recorder     netip.Addr
	cameras                                         []netip.Addr
	servers                                         []netip.Addr // all of the above but printer, recorder and cameras
	machines                                        []netip.Addr // what people can log in to: workstations, then servers
	guests                                          []netip.Addr // guest Wi-Fi gateways: many devices behind one address
	branches                                        []netip.Addr // offices whose people come in from one public address
	partner, probe, crawler, offsite, retired       netip.Addr   // retired: a server that was switched off and is still asked for
	upstream                                        netip.Addr
	sites                                           []station // websites and the like
}

// station is a workstation and who sits there, or a place on the internet.
type station struct {
	v4, v6 netip.Addr // v6 invalid where it has none
	name   string     // of a website
	user   string
	agent  string // user agent of its browser
}

func newNetwork(d *dice, stations int) *network {
	n := &network{site: byte(d.between(1, 250)), domain: pick(d, lists.Companies)}
	v6 := [16]byte{0xfd, byte(d.below(256)), byte(d.below(256)), byte(d.below(256)), byte(d.below(256)), byte(d.below(256))} // RFC 4193

	// Subnet 2 is the servers', 3 that of printers and cameras, 4 the guests', 8 and
	// above the workstations'.
	n.mail, n.web, n.vpn, n.jump = n.host(dmz, 10), n.host(dmz, 20), n.host(dmz, 30), n.host(dmz, 40)
	n.resolvers = [2]netip.Addr{n.host(2, 10), n.host(2, 11)}
	n.files, n.app, n.database, n.git = n.host(2, 20), n.host(2, 30), n.host(2, 31), n.host(2, 40)
	n.backup, n.monitor, n.scanner, n.retired = n.host(2, 50), n.host(2, 60), n.host(2, 70), n.host(2, 99)
	n.printer, n.recorder = n.host(3, 10), n.host(3, 20)
	for i := range 6 {
		n.cameras = append(n.cameras, n.host(3, 30+i))
	}
	n.servers = []netip.Addr{n.mail, n.web, n.vpn, n.jump, n.resolvers[0], n.resolvers[1],
		n.files, n.app, n.database, n.git, n.backup, n.monitor}
	for i := range 1 + stations/100 {
		n.guests = append(n.guests, n.host(4, 1+i))
		n.branches = append(n.branches, d.outside())
	}
	for i := range stations {
		subnet, host := 8+i/200, 20+i%200
		s := station{v4: n.host(subnet, host), user: userName(i), agent: pick(d, lists.Browsers)}
		if d.chance(40) {
			v6[7], v6[15] = byte(subnet), byte(host)
			s.v6 = netip.AddrFrom16(v6)
		}
		n.stations, n.machines = append(n.stations, s), append(n.machines, s.v4)
	}
	n.machines = append(n.machines, n.servers...)
	for range 8 + 2*stations {
		n.visitors = append(n.visitors, station{v4: d.outside(), agent: pick(d, lists.Browsers)})
	}
	n.partner, n.probe, n.crawler, n.offsite, n.upstream = d.outside(), d.outside(), d.outside(), d.outside(), d.outside()
	for _, name := range lists.SiteNames {
		s := station{name: name, v4: d.outside()}
		if d.chance(60) {
			s.v6 = d.outside6()
		}
		n.sites = append(n.sites, s)
	}
	return n
}

// dmz is the subnet of the servers that the internet gets to.
const dmz = 1

func (n *network) host(subnet, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, n.site, byte(subnet), byte(host)})
}

// outside draws a public IPv4 address.
func (d *dice) outside() netip.Addr {
	for {
		a := netip.AddrFrom4([4]byte{byte(d.between(1, 223)), byte(d.below(256)), byte(d.below(256)), byte(d.between(1, 254))})
		if !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return a
		}
	}
}

func (d *dice) outside6() netip.Addr {
	a := [16]byte{0x2a, byte(d.between(0, 0x0f)), byte(d.below(256)), byte(d.below(256)), 14: byte(d.below(256)), 15: byte(d.between(1, 255))}
	return netip.AddrFrom16(a)
}

// special is what the internet does not route, of the IANA IPv4 Special-Purpose
// Address Registry.
var special = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
}

// userName is the login of the company's i-th person.
func userName(i int) string {
	name := lists.FirstNames[i%len(lists.FirstNames)] + "." + lists.LastNames[i/len(lists.FirstNames)%len(lists.LastNames)]
	if more := i / (len(lists.FirstNames) * len(lists.LastNames)); more > 0 {
		name += strconv.Itoa(more + 1)
	}
	return name
}
