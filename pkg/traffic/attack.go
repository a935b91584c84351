package traffic

import (
	"cmp"
	"net/netip"
	"strconv"
	"time"

	"soclab/pkg/event"
)

// scenario is a kind of attack: one incident, or several that follow from each
// other.
type scenario struct {
	name       string
	fewest     int           // events that it needs
	least      time.Duration // time that it needs
	tactic     string        // where it is a single incident, as are the techniques
	techniques ids
	who        actor
	plan       func(*plan, *station)
}

type ids []string

// firstScenarios begin a run, so that the smallest run shows them.
const firstScenarios = 2

// scenarios are the attacks, each drawn anew in its tools, speed and size. What
// several of them do is a method below.
var scenarios = []scenario{
	// For those who write rules, and no default rule finds it: someone takes pictures of the company's cameras
	// with a script. The recorder does so too: by another program.
	{"exercise", 8, time.Minute, "TA0009", ids{"T1125"}, somebody, func(p *plan, s *station) {
		for i := range p.turns(p.tempo(8, 90, 500*time.Millisecond, 20*time.Second), 30) {
			p.photograph(s.v4, p.cameras[i%len(p.cameras)], "camgrab/0.9")
		}
	}},
	// The way in and out: from a scan of the outer servers to the theft of data.
	{"intrusion", 50, 8 * time.Minute, "", nil, outsider, func(p *plan, s *station) {
		entry := p.jump
		p.incident("scan", "TA0043", "T1595.001", "T1595.002", "T1595", "T1046")
		p.scanPorts(s.v4, p.jump, p.vpn, p.mail, p.web)
		p.rest()
		user := pick(p.dice, lists.GuessedUsers)
		p.guessPassword(s.v4, entry, "ssh", user, "brute-force")
		p.pause(time.Second, 20*time.Second)
		p.logInAfter(s.v4, entry, "ssh", user)
		p.rest()
		p.incident("discovery", "TA0007", "T1046", "T1018")
		p.scanPorts(entry, p.server(entry), p.server(entry), p.server(entry))
		p.rest()
		p.moveAround(entry, user, "lateral-movement")
		p.rest()
		if p.chance(60) {
			p.fetchTool(entry, "tool-transfer")
			p.rest()
		}
		p.stealByFTP(entry, "exfiltration")
	}},

	// Open ports, looked for from within: those of one machine, or one service on many.
	{"port-scan", 25, 30 * time.Second, "", nil, somebody, func(p *plan, s *station) {
		if p.chance(50) {
			p.incident("", "TA0007", "T1046")
			p.scanPorts(s.v4, pick(p.dice, p.servers))
		} else {
			p.incident("", "TA0007", "T1046", "T1018")
			p.sweep(s.v4, pick(p.dice, []int{1, 2, 3, 8}))
		}
	}},
	{"external-scan", 25, 30 * time.Second, "TA0043", ids{"T1595.001", "T1595.002", "T1595", "T1046"}, nobody, func(p *plan, _ *station) {
		if p.chance(50) {
			p.scanPorts(p.outside(), p.mail, p.web, p.vpn)
		} else {
			p.sweep(p.outside(), 1)
		}
	}},
	{"host-discovery", 25, 30 * time.Second, "TA0007", ids{"T1018", "T1046"}, somebody, func(p *plan, s *station) {
		subnet := pick(p.dice, []int{1, 2, 3, 8})
		t := p.tempo(30, 254, time.Millisecond, 30*time.Second)
		first := p.below(254)
		for i := range p.turns(t, 50) {
			if to := p.host(subnet, 1+(first+i)%254); to != s.v4 {
				e := p.ping(s.v4, to)
				count(&e.Source, 0, 1)
				count(&e.Destination, 0, p.below(4)/3)
			}
		}
	}},
	// The shares of one machine after the other.
	{"share-discovery", 15, 30 * time.Second, "TA0007", ids{"T1135", "T1018", "T1046", "T1021.002"}, somebody, func(p *plan, s *station) {
		t := p.tempo(16, min(120, len(p.machines)), 20*time.Millisecond, 45*time.Second)
		first := p.below(len(p.machines))
		for i := range p.turns(t, 50) {
			to := p.machines[(first+i)%len(p.machines)]
			if to == s.v4 {
				continue
			}
			e := p.conn(s.v4, to, 445, "smb")
			if p.chance(15) {
				p.unanswered(e)
			} else {
				p.moves(e, bytes{700, 4000}, bytes{700, 9000}, 5*time.Millisecond, 900*time.Millisecond)
			}
		}
	}},
	// Guesses at one account's password; sometimes it is found.
	{"brute-force", 20, time.Minute, "", nil, nobody, func(p *plan, _ *station) {
		from, to, protocol := p.wayIn([]door{
			{p.mail, "imap"}, {p.vpn, "vpn"}, {p.app, "rdp"}, {p.files, "smb"}, {p.jump, "ssh"},
		})
		user := pick(p.dice, lists.GuessedUsers)
		if p.chance(40) {
			user = somebody(p).user
		}
		p.guessPassword(from, to, protocol, user, "")
		if p.chance(40) {
			p.pause(time.Second, 20*time.Second)
			p.logInAfter(from, to, protocol, user)
		}
	}},
	// One or two passwords, tried on many accounts.
	{"password-spraying", 18, 4 * time.Minute, "TA0006", ids{"T1110.003", "T1110.004", "T1110.001", "T1110"}, nobody, func(p *plan, _ *station) {
		from, to, protocol := p.wayIn([]door{
			{p.mail, "imap"}, {p.resolvers[0], "kerberos"}, {p.resolvers[1], "ldap"}, {p.vpn, "vpn"},
		})
		t := p.tempo(18, 300, 200*time.Millisecond, 2*time.Minute)
		names := max(60, len(p.stations)) // where fewer people work, some are guessed
		first := p.below(names)
		for i := range p.turns(t, 60) {
			p.login(from, to, protocol, userName((first+i)%names), false)
		}
		if p.chance(30) {
			p.logInAfter(from, to, protocol, userName((first+p.below(t.n))%names))
		}
	}},
	// Names and passwords stolen elsewhere, tried on the website's login.
	{"credential-stuffing", 25, time.Minute, "TA0006", ids{"T1110.004", "T1110.003", "T1110.001", "T1110"}, outsider, func(p *plan, s *station) {
		agent := pick(p.dice, []string{"python-requests/2.32.3", "Go-http-client/1.1", lists.Browsers[0], lists.Browsers[2], "okhttp/4.12.0"})
		path := pick(p.dice, []string{"/account/login", "/login", "/api/v1/login", "/wp-login.php"})
		for range p.turns(p.tempo(25, 800, 40*time.Millisecond, 25*time.Second), 60) {
			status := 401
			if p.chance(2) {
				status = 302
			}
			p.requestWebsite(s.v4, "POST", path, "", agent, status, p.spread(300, 1500))
		}
	}},
	{"lateral-movement", 8, 2 * time.Minute, "", nil, somebody, func(p *plan, s *station) {
		p.moveAround(s.v4, pick(p.dice, []string{"administrator", "svc-deploy", "helpdesk", somebody(p).user}), "")
	}},
	// Calls home on a port of its own, again and again.
	{"c2-beacon", 20, 5 * time.Minute, "TA0011", ids{"T1571", "T1095", "T1071.001", "T1071", "T1573"}, somebody, func(p *plan, s *station) {
		from, home := s.v4, p.outside()
		if s.v6.IsValid() && p.chance(30) {
			from, home = s.v6, p.outside6()
		}
		port := pick(p.dice, []int{1177, 4444, 5552, 8443, 4443, 9443, 2222, 6666, p.between(1025, 65535), p.between(1025, 65535)})
		protocol := pick(p.dice, []string{"", "", "ssl", "http"})
		t := p.tempo(20, 500, 4*time.Second, 12*time.Minute)
		percent := pick(p.dice, []int{0, 5, 10, 20, 37, 50})
		down := pick(p.dice, []int{0, 0, 10, 60}) // how often nobody is at home
		for range p.turns(t, percent) {
			e := p.conn(from, home, port, protocol)
			switch k := p.below(100); {
			case k < down && k%2 == 0:
				p.unanswered(e)
			case k < down:
				p.refused(e)
			case k > 95: // orders
				p.moves(e, bytes{1000, 90000}, bytes{5000, 900000}, 100*time.Millisecond, 20*time.Second)
			default:
				p.moved(e, p.between(90, 900), p.between(80, 700), p.delay(20*time.Millisecond, 4*time.Second))
			}
		}
	}},
	// Calls home by web requests that look like those of well-known tools in their default settings.
	{"http-beacon", 16, 5 * time.Minute, "TA0011", ids{"T1071.001", "T1071", "T1571"}, somebody, func(p *plan, s *station) {
		home, tool := p.outside(), pick(p.dice, lists.Beacons)
		host := home.String()
		if p.chance(40) {
			host = p.badName()
		}
		t := p.tempo(16, 400, 4*time.Second, 5*time.Minute)
		percent, path := pick(p.dice, []int{0, 10, 20, 37, 50}), pick(p.dice, tool.Get)
		for range p.turns(t, percent) {
			if p.chance(15) {
				id := "id=" + strconv.Itoa(p.between(10000, 99999))
				e := p.request(s.v4, home, "POST", host, tool.Post, id, tool.Agent, 200, p.between(0, 200))
				p.moved(e, p.spread(300, 90000), p.between(0, 200), p.delay(20*time.Millisecond, time.Second))
			} else {
				p.request(s.v4, home, "GET", host, path, "", tool.Agent, 200, p.spread(40, 3000))
			}
		}
	}},
	// Data in names, as iodine, dnscat2 and scripts carry it.
	{"dns-tunnel", 30, time.Minute, "TA0011", ids{"T1071.004", "T1572", "T1071", "T1048.003", "T1048", "T1041"}, somebody, func(p *plan, s *station) {
		resolver, domain := p.resolver(), pick(p.dice, []string{"t.", "ns1.", "d.", ""})+p.badName()
		kinds := pick(p.dice, [][]string{{"NULL"}, {"TXT"}, {"TXT", "CNAME", "MX"}, {"CNAME"}, {"A"}})
		alphabet := pick(p.dice, []string{lowerHex, base32})
		label, labels := p.between(34, 62), p.between(1, 3)
		for range p.turns(p.tempo(30, 900, 15*time.Millisecond, 45*time.Second), 70) {
			name := ""
			for range labels {
				name += p.text(label-p.below(4), alphabet) + "."
			}
			kind, answer := pick(p.dice, kinds), p.text(p.between(10, 90), alphabet)
			if kind == "A" {
				answer = p.outside().String()
			}
			e := p.query(s.v4, resolver, name+domain, kind, "NOERROR", answer)
			if p.chance(3) {
				e.DNS.ResponseCode, e.DNS.Answers = "SERVFAIL", ""
			}
		}
	}},
	// Looks for its master under names that an algorithm made: nearly all of them do not exist.
	{"dga", 20, time.Minute, "TA0011", ids{"T1568.002", "T1568", "T1071.004"}, somebody, func(p *plan, s *station) {
		resolver := p.resolver()
		tops := pick(p.dice, [][]string{{".com", ".net", ".org", ".info", ".biz"}, {".ru", ".su"}, {".top", ".xyz"}, {".com"}})
		alphabet, short := pick(p.dice, []string{letters, letters, alphanums}), p.between(11, 18)
		spelled := p.chance(15) // of words, as some families do
		t := p.tempo(20, 500, 30*time.Millisecond, 2*time.Minute)
		for i := range p.turns(t, 60) {
			name := p.text(p.between(short, short+6), alphabet)
			if spelled {
				name = pick(p.dice, lists.Words) + pick(p.dice, lists.Words)
			}
			name += pick(p.dice, tops)
			if i == t.n-1 && p.chance(50) {
				p.query(s.v4, resolver, name, "A", "NOERROR", p.outside().String())
				break
			}
			p.query(s.v4, resolver, name, "A", "NXDOMAIN", "")
		}
	}},
	{"icmp-tunnel", 6, time.Minute, "TA0011", ids{"T1095", "T1572", "T1048.003", "T1048"}, somebody, func(p *plan, s *station) {
		home := p.outside()
		for range p.turns(p.tempo(6, 40, 2*time.Second, 2*time.Minute), 50) {
			p.moves(p.ping(s.v4, home), bytes{30000, 9e6}, bytes{9000, 9e6}, 5*time.Second, time.Minute)
		}
	}},
	// Leaves by relays of the Tor network, at times after names that only exist within it.
	{"tor", 6, time.Minute, "TA0011", ids{"T1090.003", "T1090", "T1571"}, somebody, func(p *plan, s *station) {
		t := p.tempo(6, 60, time.Second, time.Minute)
		leaks := p.chance(40)
		for range p.turns(t, 60) {
			if leaks && p.chance(40) {
				p.query(s.v4, p.resolvers[0], p.text(56, base32)+".onion", "A", "NXDOMAIN", "")
			} else {
				relay, port := p.outside(), pick(p.dice, []int{9001, 9001, 9001, 9030})
				p.moves(p.conn(s.v4, relay, port, "ssl"), bytes{3000, 900000}, bytes{5000, 9e6}, 10*time.Second, 10*time.Minute)
			}
		}
	}},
	// Installs a program that lets others in.
	{"remote-access", 4, time.Minute, "TA0011", ids{"T1219", "T1219.002", "T1571"}, somebody, func(p *plan, s *station) {
		tool := pick(p.dice, lists.RemoteTools)
		for range p.turns(p.tempoOf(2, 2, 12, 2*time.Second, 2*time.Minute), 60) {
			relay := p.outside()
			name := tool.Relay + strconv.FormatInt(int64(p.below(5000)), 36) + tool.Domain
			p.moves(p.call(s.v4, name, relay, tool.Port, "ssl"), bytes{3000, 90e6}, bytes{3000, 9e6}, 10*time.Second, time.Hour)
		}
	}},
	{"tool-transfer", 1, 30 * time.Second, "", nil, somebody, func(p *plan, s *station) { p.fetchTool(s.v4, "") }},
	// Looks for weak spots of the website, and goes in if it finds one.
	{"web-attack", 40, 2 * time.Minute, "", nil, outsider, func(p *plan, s *station) {
		p.incident("scan", "TA0043", "T1595.003", "T1595.002", "T1595", "T1190")
		agent := pick(p.dice, lists.WebScanners)
		if p.chance(40) {
			agent = pick(p.dice, lists.Browsers)
		}
		for range p.turns(p.tempo(30, 1200, 5*time.Millisecond, 20*time.Second), 60) {
			path := "/" + pick(p.dice, lists.ScannedPaths) + pick(p.dice, []string{"", "/", ".php", ".bak", ".old", ".zip", "~"})
			if p.chance(60) {
				path = "/" + pick(p.dice, lists.Words) + strconv.Itoa(p.below(100)) + pick(p.dice, []string{"", "/", ".php", ".asp", ".txt"})
			}
			status := pick(p.dice, []int{404, 404, 404, 404, 404, 404, 404, 404, 403, 301, 200})
			p.requestWebsite(s.v4, "GET", path, "", agent, status, p.spread(160, 9000))
		}
		p.rest()
		p.incident("exploit", "TA0001", "T1190", "T1595.002", "T1595")
		agent = pick(p.dice, lists.Browsers)
		t := p.tempo(4, 40, 200*time.Millisecond, 15*time.Second)
		kind := pick(p.dice, lists.Exploits)
		for range p.turns(t, 60) {
			if p.chance(20) {
				kind = pick(p.dice, lists.Exploits)
			}
			x := pick(p.dice, kind)
			status := pick(p.dice, []int{200, 200, 404, 403, 500})
			p.requestWebsite(s.v4, x.Method, x.Path, x.Query, cmp.Or(x.Agent, agent), status, p.spread(200, 20000))
		}
		if p.chance(60) {
			p.rest()
			p.incident("web-shell", "TA0003", "T1505.003", "T1505", "T1190", "T1059")
			path := pick(p.dice, []string{"/uploads/", "/images/", "/wp-content/uploads/2026/", "/files/", "/tmp/"}) +
				pick(p.dice, []string{"shell.php", "cmd.php", "c99.php", "up.jsp", "x.aspx", "wso.php", "img.php"})
			key := pick(p.dice, []string{"cmd", "c", "exec", "command"})
			agent := pick(p.dice, []string{lists.Browsers[0], "curl/8.10.1", "python-requests/2.32.3"})
			for range p.turns(p.tempo(4, 25, 2*time.Second, 40*time.Second), 60) {
				method := pick(p.dice, []string{"GET", "POST"})
				p.requestWebsite(s.v4, method, path, key+"="+pick(p.dice, lists.Commands), agent, 200, p.spread(20, 9000))
			}
		}
		if p.chance(40) {
			p.rest()
			p.fetchTool(p.web, "tool-transfer")
		}
	}},
	// Data, stolen by FTP, to a store on the web, or over the way that orders come.
	{"exfiltration", 3, 2 * time.Minute, "", nil, somebody, func(p *plan, s *station) {
		switch k := p.below(10); {
		case k < 2:
			p.stealByFTP(s.v4, "")
		case k < 7:
			p.incident("", "TA0010", "T1567.002", "T1567", "T1048.002", "T1048")
			to, where := p.outside(), pick(p.dice, lists.CloudStores)
			agent := pick(p.dice, []string{"rclone/v1.68.2", where.Agent, pick(p.dice, lists.Browsers)})
			for range p.turns(p.tempo(4, 40, 2*time.Second, 40*time.Second), 50) {
				e := p.request(s.v4, to, where.Method, where.Domain, where.Path+p.text(14, alphanums), "", agent, 200, 400)
				e.Destination.Port = event.Known(443)
				p.moved(e, p.spread(30e6, 1e9), p.between(200, 900), p.delay(2*time.Second, 4*time.Minute))
			}
		default:
			p.incident("", "TA0010", "T1041", "T1048.003", "T1048", "T1571", "T1071.001")
			to := p.outside()
			t := p.tempo(3, 20, 3*time.Second, time.Minute)
			port, raw := p.between(1025, 65535), p.chance(50)
			for range p.turns(t, 50) {
				if raw {
					p.moves(p.conn(s.v4, to, port, ""), bytes{30e6, 2e9}, bytes{900, 90000}, 4*time.Second, 5*time.Minute)
					continue
				}
				path := pick(p.dice, []string{"/upload", "/gate.php", "/submit.php", "/api/data"})
				e := p.request(s.v4, to, "POST", to.String(), path, "", lists.Browsers[0], 200, 100)
				p.moved(e, p.spread(30e6, 900e6), p.between(60, 300), p.delay(4*time.Second, 5*time.Minute))
			}
		}
	}},
	// Connections, opened faster than a server can answer.
	{"syn-flood", 150, 30 * time.Second, "TA0040", ids{"T1498.001", "T1499.001", "T1498", "T1499"}, nobody, func(p *plan, _ *station) {
		t := p.tempo(150, 3000, 200*time.Microsecond, 200*time.Millisecond)
		sources := p.botnet(t.n)
		target, port := p.web, pick(p.dice, []int{80, 443})
		if p.chance(30) {
			target, port = p.vpn, 443
		}
		for i := range p.turns(t, 90) {
			p.unanswered(p.conn(sources[i%len(sources)], target, port, ""))
		}
	}},
	// Work for the website, asked for faster than it can be done.
	{"http-flood", 120, 30 * time.Second, "TA0040", ids{"T1499.002", "T1499", "T1498.001", "T1498", "T1499.003"}, nobody, func(p *plan, _ *station) {
		t := p.tempo(120, 3000, 2*time.Millisecond, 300*time.Millisecond)
		sources := p.botnet(t.n)
		path, agent := pick(p.dice, []string{"/", "/search", "/products"}), pick(p.dice, lists.Browsers)
		busts := p.chance(50) // past the cache
		for i := range p.turns(t, 90) {
			query, status := "", 200
			if busts {
				query = "q=" + p.text(8, alphanums)
			}
			if i > t.n/3 && p.chance(70) {
				status = 503
			}
			p.requestWebsite(sources[i%len(sources)], "GET", path, query, agent, status, p.spread(200, 30000))
		}
	}},
	// Works for somebody else's wallet.
	{"cryptomining", 4, time.Minute, "TA0040", ids{"T1496.001", "T1496", "T1571"}, somebody, func(p *plan, s *station) {
		pool := pick(p.dice, lists.MiningPools)
		home, port := p.outside(), pick(p.dice, []int{3333, 4444, 5555, 7777, 14444, 443})
		for range p.turns(p.tempoOf(2, 2, 15, 5*time.Second, 3*time.Minute), 50) {
			p.moves(p.call(s.v4, pool, home, port, ""), bytes{2000, 90000}, bytes{4000, 200000}, 30*time.Second, 30*time.Minute)
		}
	}},
}

// rest is the pause between the steps of an attack.
func (p *plan) rest() {
	p.pause(5*time.Second, max(6*time.Second, min(15*time.Minute, (p.until-p.at)/10)))
}

// scanPorts tries many ports of targets, as nmap does by default: the common
// ones in another order, then any. Behind a firewall they stay silent, else they
// refuse.
func (p *plan) scanPorts(from netip.Addr, targets ...netip.Addr) {
	t := p.tempo(25, 1500, 200*time.Microsecond, time.Minute)
	silent := pick(p.dice, []int{5, 50, 95})
	source := event.Known(int64(p.between(32768, 60999))) // raw SYN packets come from one port
	first := p.below(len(targets))
	used := min(len(targets), 1+t.n/100) // enough ports on each
	for i := range p.turns(t, 60) {
		port := lists.CommonPorts[(i/used*7+p.number)%len(lists.CommonPorts)]
		if i/used >= len(lists.CommonPorts) {
			port = p.between(1, 65535)
		}
		e := p.conn(from, targets[(first+i%used)%len(targets)], port, "")
		e.Source.Port = source
		switch k := p.below(100); {
		case k < 3:
			p.dropped(e)
		case k < silent:
			p.unanswered(e)
		default:
			p.refused(e)
		}
	}
}

// sweep tries one or two ports on all machines of a subnet, as masscan does.
func (p *plan) sweep(from netip.Addr, subnet int) {
	ports := pick(p.dice, [][]int{{445}, {22}, {3389}, {80, 443}, {23}, {6379}, {1433, 3306}, {8080}})
	t := p.tempo(30, 254*len(ports), 500*time.Microsecond, 45*time.Second)
	first := p.below(254)
	for i := range p.turns(t, 60) {
		to := p.host(subnet, 1+(first+i/len(ports))%254)
		if to == from {
			continue
		}
		e := p.conn(from, to, ports[i%len(ports)], "")
		switch k := p.below(100); {
		case k < 5:
			p.dropped(e)
		case k < 25:
			p.refused(e)
		default:
			p.unanswered(e)
		}
	}
}

// door is where one can try to log in.
type door struct {
	host     netip.Addr
	protocol string
}

// wayIn draws one of doors and who tries it: somebody outside, or within where
// only the company's own machines get to.
func (p *plan) wayIn(doors []door) (from, to netip.Addr, protocol string) {
	from = p.outside()
	d := pick(p.dice, doors)
	if d.host.As4()[2] != dmz {
		from = somebody(p).v4
	}
	return from, d.host, d.protocol
}

func (p *plan) guessPassword(from, to netip.Addr, protocol, user, step string) {
	p.incident(step, "TA0006", "T1110.001", "T1110.003", "T1110.004", "T1110")
	// From hydra with 16 tasks to one that minds lockouts.
	for range p.turns(p.tempo(20, 900, 30*time.Millisecond, 30*time.Second), 50) {
		p.login(from, to, protocol, user, false)
	}
}

// logInAfter uses a password that was found.
func (p *plan) logInAfter(from, to netip.Addr, protocol, user string) {
	p.incident("login", "TA0001", "T1078", "T1110.001", "T1110.003", "T1110", "T1133")
	for range p.times(1, 4, time.Second, 40*time.Second) {
		p.login(from, to, protocol, user, true)
	}
}

func (p *plan) moveAround(from netip.Addr, user, step string) {
	way := pick(p.dice, []struct {
		technique, protocol string
	}{{"T1021.002", "smb"}, {"T1021.001", "rdp"}, {"T1021.006", "winrm"}, {"T1021.004", "ssh"}})
	p.incident(step, "TA0008", way.technique, "T1021", "T1570", "T1078")
	t := p.tempo(8, min(40, len(p.machines)), 500*time.Millisecond, 3*time.Minute)
	first := p.below(len(p.machines))
	for i := range p.turns(t, 50) {
		if to := p.machines[(first+i)%len(p.machines)]; to != from {
			p.login(from, to, way.protocol, user, !p.chance(15))
		}
	}
}

// badName is a name that an attacker registered.
func (p *plan) badName() string {
	return pick(p.dice, []string{"cdn-", "update-", "api-", "static-", ""}) + pick(p.dice, lists.Words) + pick(p.dice, lists.Words) +
		pick(p.dice, []string{".top", ".xyz", ".info", ".site", ".com"})
}

// fetchTool fetches programs with what a system has at hand, mostly from a bare
// address.
func (p *plan) fetchTool(to netip.Addr, step string) {
	p.incident(step, "TA0011", "T1105")
	from := p.outside()
	host := from.String()
	if p.chance(15) {
		host = p.badName()
	}
	for range p.times(1, 4, time.Second, 20*time.Second) {
		path := "/" + pick(p.dice, []string{"", "", "a/", "tmp/", "files/"}) + pick(p.dice, lists.Payloads)
		p.request(to, from, "GET", host, path, "", pick(p.dice, lists.Downloaders), 200, p.spread(8000, 9000000))
	}
}

func (p *plan) stealByFTP(from netip.Addr, step string) {
	p.incident(step, "TA0010", "T1048.003", "T1048", "T1041")
	to := p.outside()
	for range p.turns(p.tempo(3, 20, 3*time.Second, time.Minute), 50) {
		p.moves(p.conn(from, to, 21, "ftp"), bytes{15e6, 2e9}, bytes{900, 9000}, 4*time.Second, 5*time.Minute)
	}
}

// botnet draws the addresses that n events of a flood come from.
func (p *plan) botnet(n int) []netip.Addr {
	sources := make([]netip.Addr, 1+n/1000)
	for i := range sources {
		sources[i] = p.outside()
	}
	return sources
}
