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
	n := &network{site: byte(d.between(1, 250)), domain: pick(d, companies)}
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
		s := station{v4: n.host(subnet, host), user: userName(i), agent: pick(d, browsers)}
		if d.chance(40) {
			v6[7], v6[15] = byte(subnet), byte(host)
			s.v6 = netip.AddrFrom16(v6)
		}
		n.stations, n.machines = append(n.stations, s), append(n.machines, s.v4)
	}
	n.machines = append(n.machines, n.servers...)
	for range 8 + 2*stations {
		n.visitors = append(n.visitors, station{v4: d.outside(), agent: pick(d, browsers)})
	}
	n.partner, n.probe, n.crawler, n.offsite, n.upstream = d.outside(), d.outside(), d.outside(), d.outside(), d.outside()
	for _, name := range siteNames {
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

// host is the address of a machine of the company.
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

// outside6 draws a public IPv6 address.
func (d *dice) outside6() netip.Addr {
	return netip.AddrFrom16([16]byte{0x2a, byte(d.between(0, 0x0f)), byte(d.below(256)), byte(d.below(256)), 14: byte(d.below(256)), 15: byte(d.between(1, 255))})
}

// special is what the internet does not route, of the IANA IPv4 Special-Purpose
// Address Registry.
var special = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
}

// userName is the login of the company's i-th person.
func userName(i int) string {
	name := firstNames[i%len(firstNames)] + "." + lastNames[i/len(firstNames)%len(lastNames)]
	if more := i / (len(firstNames) * len(lastNames)); more > 0 {
		name += strconv.Itoa(more + 1)
	}
	return name
}

var (
	companies  = []string{"harbour.example", "linden.example", "northgate.example", "kestrel.example"}
	firstNames = []string{"anna", "ben", "carla", "david", "emma", "felix", "grace", "hugo", "ines", "jonas", "katja", "liam", "maria", "nils", "olga", "paul", "rosa", "sami", "tara", "yusuf"}
	lastNames  = []string{"abel", "berg", "costa", "dietz", "eriksen", "fuchs", "garcia", "horvat", "ivanova", "jensen", "kaya", "lopez", "meyer", "novak", "okafor", "peters", "quist", "rossi", "silva", "tanaka"}

	browsers = []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Safari/605.1.15",
		"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
	}

	// siteNames are what people's machines ask for; content networks among
	// them, whose names look made by an algorithm.
	siteNames = []string{
		"www.wikipedia.org", "github.com", "www.bbc.co.uk", "news.ycombinator.com", "stackoverflow.com",
		"www.openstreetmap.org", "www.python.org", "go.dev", "www.reuters.com", "www.nature.com",
		"outlook.office365.com", "login.microsoftonline.com", "teams.microsoft.com", "graph.microsoft.com",
		"mail.google.com", "www.google.com", "docs.google.com", "accounts.google.com", "fonts.gstatic.com",
		"slack.com", "wss-primary.slack.com", "app.asana.com", "api.notion.com", "zoom.us",
		"d3k81hq9s8f7a6.cloudfront.net", "d1q6f0aelx0por.cloudfront.net", "dx4x1bhmghr2p.cloudfront.net",
		"r4---sn-4g5ednsz.googlevideo.com", "e8652.dscd.akamaiedge.net", "a1887.dscq.akamai.net",
		"prod-eu-central-1-ingest-frontend-0bd1f2c3a4e5f607.elb.eu-central-1.amazonaws.com",
		"assets-7c9f6d5b8c4f4e0e9a1b.azureedge.net", "static-cdn-3f2a9c1e7b.b-cdn.net",
		"pagead2.googlesyndication.com", "cdn.jsdelivr.net", "registry.npmjs.org", "proxy.golang.org",
		"www.zeit.de", "www.lemonde.fr", "elpais.com", "www.bahn.de", "weather.example.net",
	}
)
