package traffic

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"soclab/pkg/event"
)

// habit is a kind of benign activity.
type habit struct {
	share  int // of the benign events, in parts of habitShares
	rhythm rhythm
	who    actor
	plan   func(*plan, *station)
}

// rhythm is when the activities of a habit begin.
type rhythm int

const (
	human   rhythm = iota // more of them while people are at work
	anytime               // now and then, day and night
	regular               // as a clock
)

// habits is the company's ordinary traffic. Much of it looks like an attack
// from some side: see the comments.
var habits = []habit{
	// Pages: names, some of them of content networks and as odd as an algorithm's, then connections.
	{330, human, somebody, func(p *plan, s *station) {
		for range p.between(1, 4) {
			to := p.anySite()
			if p.chance(60) {
				p.resolve(s.v4, to)
			}
			for range p.times(1, 3, time.Millisecond, 700*time.Millisecond) {
				switch k := p.below(100); {
				case k < 12:
					path, status := pick(p.dice, lists.WebPaths), 200
					if p.chance(6) {
						status = pick(p.dice, []int{301, 304, 404, 404, 403})
					}
					p.request(s.v4, to.v4, "GET", to.name, path, "", s.agent, status, p.spread(300, 400000))
				case k < 13: // servers of the internet are down at times
					p.unanswered(p.conn(s.v4, to.v4, 443, ""))
				case k < 14:
					p.tls(s, to, p.spread(200, 4000), 0, time.Millisecond).ConnState = "RSTO"
				default:
					p.tls(s, to, p.spread(600, 60000), p.spread(2000, 4000000), p.delay(50*time.Millisecond, 2*time.Minute))
				}
			}
		}
	}},
	// A program on the web: few places, many connections.
	{80, human, somebody, func(p *plan, s *station) {
		to := &p.sites[10+p.below(14)]
		for range p.times(1, 5, 100*time.Millisecond, 20*time.Second) {
			p.tls(s, to, p.spread(800, 200000), p.spread(1000, 900000), p.delay(100*time.Millisecond, 10*time.Minute))
		}
	}},
	// The company's own web application, forgotten links included.
	{50, human, somebody, often(2, 9, 50*time.Millisecond, 15*time.Second, func(p *plan, s *station) {
		method, path, status := "GET", pick(p.dice, lists.IntranetPaths), 200
		if p.chance(4) {
			path, status = "/wiki/"+pick(p.dice, lists.Words)+"-"+pick(p.dice, lists.Words), 404
		}
		if p.chance(15) {
			method = "POST"
		}
		p.request(s.v4, p.app, method, "intranet."+p.domain, path, "", s.agent, status, p.spread(400, 90000))
	})},
	// Mail, read and at times written.
	{50, human, somebody, func(p *plan, s *station) {
		if p.chance(30) {
			p.login(s.v4, p.mail, "imap", s.user, !p.chance(3))
			p.pause(10*time.Millisecond, time.Second)
		}
		p.moves(p.conn(s.v4, p.mail, 993, "ssl"), bytes{500, 9000}, bytes{900, 6e6}, time.Second, 20*time.Minute)
		if p.chance(35) {
			p.pause(time.Second, 5*time.Minute)
			p.moves(p.conn(s.v4, p.mail, 587, "smtp"), bytes{900, 15e6}, bytes{300, 900}, 100*time.Millisecond, 20*time.Second)
		}
	}},
	// Files on a share; some machines still ask for a server that is gone.
	{60, human, somebody, func(p *plan, s *station) {
		if p.chance(20) {
			p.login(s.v4, p.files, "smb", s.user, !p.chance(2))
			p.pause(time.Millisecond, 80*time.Millisecond)
		}
		for range p.times(1, 4, 50*time.Millisecond, 40*time.Second) {
			p.moves(p.conn(s.v4, p.files, 445, "smb"), bytes{900, 40e6}, bytes{900, 90e6}, 20*time.Millisecond, 15*time.Minute)
		}
		if p.chance(4) {
			for range p.turns(tempo{p.between(1, 3), time.Second}, 20) {
				p.unanswered(p.conn(s.v4, p.retired, 445, ""))
			}
		}
	}},
	// Somebody's morning, or the return from a break: one of ten mistypes the password, up to four times.
	{45, human, somebody, func(p *plan, s *station) {
		dc := p.resolver()
		if p.chance(10) {
			for range p.times(1, 4, 2*time.Second, 25*time.Second) {
				p.login(s.v4, dc, "kerberos", s.user, false)
			}
		}
		p.login(s.v4, dc, "kerberos", s.user, true)
		p.pause(5*time.Millisecond, 300*time.Millisecond)
		for range p.times(1, 3, time.Millisecond, 200*time.Millisecond) {
			port := pick(p.dice, []int{389, 88, 135, 445})
			p.moves(p.conn(s.v4, dc, port, "krb"), bytes{300, 5000}, bytes{300, 20000}, time.Millisecond, time.Second)
		}
	}},
	// One of the IT's people on the jump host, who goes on from there to a server or two.
	{8, human, itPerson, func(p *plan, s *station) {
		if p.chance(5) {
			p.login(s.v4, p.jump, "ssh", s.user, false)
			p.pause(2*time.Second, 10*time.Second)
		}
		p.login(s.v4, p.jump, "ssh", s.user, true)
		p.pause(5*time.Second, 90*time.Second)
		for range p.times(0, 2, time.Minute, 20*time.Minute) {
			server := p.server(p.jump)
			p.login(p.jump, server, "ssh", s.user, true)
			p.moves(p.conn(p.jump, server, 22, "ssh"), bytes{3000, 900000}, bytes{3000, 9e6}, 10*time.Second, time.Hour)
		}
	}},
	// Work on the application server, by remote desktop.
	{10, human, somebody, func(p *plan, s *station) {
		if p.chance(8) {
			p.login(s.v4, p.app, "rdp", s.user, false)
			p.pause(3*time.Second, 20*time.Second)
		}
		p.login(s.v4, p.app, "rdp", s.user, true)
		p.moves(p.conn(s.v4, p.app, 3389, "rdp"), bytes{90000, 9e6}, bytes{900000, 300e6}, time.Minute, 4*time.Hour)
	}},
	// Video calls.
	{8, human, somebody, func(p *plan, s *station) {
		to := &p.sites[23]
		p.resolve(s.v4, to)
		for range p.times(1, 3, 10*time.Millisecond, time.Second) {
			size := p.spread(5e6, 900e6)
			p.moved(p.udp(s.v4, to.v4, pick(p.dice, []int{3478, 8801, 443}), ""), size, size, p.delay(5*time.Minute, 90*time.Minute))
		}
	}},
	// Large files, put into the company's own storage on the web, and small ones into people's own, as one who
	// steals them would.
	{3, human, somebody, func(p *plan, s *station) {
		to, private := p.sites[10].v4, p.chance(15)
		for range p.times(1, 3, time.Second, time.Minute) {
			var e *event.Event
			size := p.spread(2e6, 400e6)
			if private {
				e = p.request(s.v4, to, "POST", "content.dropboxapi.com", "/2/files/upload/"+p.text(14, alphanums), "", s.agent, 200, 600)
				size = p.spread(50000, 5e6)
			} else {
				path := "/_api/v2.0/drive/items/" + p.text(12, alphanums) + "/content"
				e = p.request(s.v4, to, "PUT", "team-my.sharepoint.com", path, "", s.agent, 201, 600)
			}
			e.Destination.Port = event.Known(443) // the proxy looks into TLS
			p.moved(e, size, 700, p.delay(2*time.Second, 4*time.Minute))
		}
	}},
	// Printed pages.
	{8, human, somebody, func(p *plan, s *station) {
		port := pick(p.dice, []int{9100, 631})
		p.moves(p.conn(s.v4, p.printer, port, ""), bytes{20000, 20e6}, bytes{100, 2000}, 100*time.Millisecond, 40*time.Second)
	}},
	// Names that do not exist: typing errors, search suffixes and the three random names by which browsers find
	// out whether answers are forged.
	{10, human, somebody, func(p *plan, s *station) {
		resolver := p.resolver()
		switch p.below(4) {
		case 0:
			p.query(s.v4, resolver, pick(p.dice, lists.MistypedNames), "A", "NXDOMAIN", "")
		case 1:
			p.query(s.v4, resolver, pick(p.dice, lists.SiteNames)+"."+p.domain, "A", "NXDOMAIN", "")
		case 2:
			p.query(s.v4, resolver, "wpad."+p.domain, "A", "NXDOMAIN", "")
		default:
			for range 3 {
				p.query(s.v4, resolver, p.text(p.between(7, 15), letters), "A", "NXDOMAIN", "")
				p.pause(time.Millisecond, 10*time.Millisecond)
			}
		}
	}},
	// A machine that tries IPv6 first and gets no answers, from one place after the other.
	{6, human, somebody, func(p *plan, s *station) {
		if !s.v6.IsValid() {
			s = &p.stations[0]
		}
		for range p.times(1, 4, 5*time.Second, time.Minute) {
			to := p.anySite()
			if to.v6.IsValid() && s.v6.IsValid() {
				p.unanswered(p.conn(s.v6, to.v6, 443, ""))
				p.wait(p.jitter(250*time.Millisecond, 10)) // RFC 8305, section 5
			}
			p.moves(p.conn(s.v4, to.v4, 443, "ssl"), bytes{600, 20000}, bytes{2000, 900000}, 50*time.Millisecond, time.Minute)
		}
	}},
	// Somebody on the internet who reads the company's website.
	{70, human, visitor, func(p *plan, s *station) {
		for range p.times(2, 12, 20*time.Millisecond, 8*time.Second) {
			path, status := pick(p.dice, lists.PublicPaths), 200
			switch k := p.below(100); {
			case k < 4:
				path, status = "/"+pick(p.dice, lists.Words)+".html", 404
			case k < 12:
				status = 304
			}
			p.requestWebsite(s.v4, "GET", path, "", s.agent, status, p.spread(200, 300000))
		}
		if p.chance(5) { // a customer logs in, mostly
			for p.chance(20) {
				p.requestWebsite(s.v4, "POST", "/account/login", "", s.agent, 401, 900)
				p.pause(4*time.Second, 30*time.Second)
			}
			p.requestWebsite(s.v4, "POST", "/account/login", "", s.agent, 302, 600)
		}
	}},
	// The guests' Wi-Fi, many phones behind one address: names of all kinds, some wrong.
	{35, human, nobody, func(p *plan, _ *station) {
		gateway := pick(p.dice, p.guests)
		for range p.times(1, 6, 10*time.Millisecond, 4*time.Second) {
			to := p.anySite()
			if p.chance(6) {
				name := p.text(p.between(5, 9), letters) + pick(p.dice, []string{".lan", ".local", ".fritz.box", ".com"})
				p.query(gateway, p.resolvers[0], name, "A", "NXDOMAIN", "")
			} else {
				p.resolve(gateway, to)
			}
			p.moves(p.conn(gateway, to.v4, 443, "ssl"), bytes{600, 90000}, bytes{2000, 9e6}, 50*time.Millisecond, 5*time.Minute)
		}
	}},
	// The people of an office elsewhere, who come in one after the other from one address, as in spraying; but few
	// of them fail.
	{12, human, nobody, func(p *plan, _ *station) {
		branch := pick(p.dice, p.branches)
		for range p.times(1, 6, 2*time.Second, 2*time.Minute) {
			user := somebody(p).user
			to, service := p.vpn, "vpn"
			if p.chance(40) {
				to, service = p.mail, "imap"
			}
			if p.chance(6) {
				for range p.times(1, 3, 3*time.Second, 20*time.Second) {
					p.login(branch, to, service, user, false)
				}
			}
			p.login(branch, to, service, user, true)
		}
	}},
	// A search engine: one path after the other, some of them gone.
	{12, anytime, nobody, often(3, 10, 2*time.Second, 30*time.Second, func(p *plan, _ *station) {
		path, status := pick(p.dice, lists.PublicPaths), 200
		if p.chance(12) {
			path, status = p.archived(), 404
		}
		p.requestWebsite(p.crawler, "GET", path, "", crawlerAgent, status, p.spread(900, 90000))
	})},
	// The mail server at work. Its questions are as long and as many as those of a tunnel: SPF and DKIM keys as
	// TXT, senders looked up backwards, and block lists whose answer for an honest sender is NXDOMAIN.
	{40, anytime, nobody, func(p *plan, _ *station) {
		resolver, peer, sender := p.resolver(), p.outside(), pick(p.dice, lists.MailDomains)
		ask := func(name, kind, code, answer string) {
			p.query(p.mail, resolver, name, kind, code, answer)
			p.pause(time.Millisecond, 40*time.Millisecond)
		}
		deliver := func(from, to netip.Addr) {
			p.moves(p.conn(from, to, 25, "smtp"), bytes{2000, 20e6}, bytes{300, 900}, 200*time.Millisecond, 30*time.Second)
		}
		if p.chance(40) { // outgoing
			ask(sender, "MX", "NOERROR", "mx1."+sender)
			deliver(p.mail, peer)
			return
		}
		deliver(peer, p.mail)
		ask(backwards(peer)+".in-addr.arpa", "PTR", "NOERROR", "mail."+sender)
		ask(backwards(peer)+".zen.spamhaus.org", "A", "NXDOMAIN", "")
		if p.chance(50) {
			ask(backwards(peer)+".bl.spamcop.net", "A", "NXDOMAIN", "")
		}
		ask(sender, "TXT", "NOERROR", "v=spf1 include:_spf."+sender+" ip4:"+peer.String()+" -all")
		selector := "selector" + strconv.Itoa(p.between(1, 2)) + "-" + lists.Words[int(peer.As4()[1])%len(lists.Words)]
		ask(selector+"._domainkey."+sender, "TXT", "NOERROR",
			"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC"+p.text(60, alphanums))
	}},
	// A resolver that asks on behalf of all: many questions, many of them for names that do not exist.
	{25, anytime, nobody, func(p *plan, _ *station) {
		resolver := p.resolver()
		for range p.times(1, 5, time.Millisecond, 200*time.Millisecond) {
			s := p.anySite()
			switch {
			case p.chance(10):
				name := pick(p.dice, []string{"www.", "mail.", "autodiscover.", "img.", ""}) +
					pick(p.dice, lists.Words) + pick(p.dice, []string{"-", ""}) + pick(p.dice, lists.Words) + ".com"
				p.query(resolver, p.upstream, name, "A", "NXDOMAIN", "")
			case p.chance(8):
				p.query(resolver, p.upstream, backwards(s.v4)+".in-addr.arpa", "PTR", "NXDOMAIN", "")
			default:
				p.query(resolver, p.upstream, s.name, "A", "NOERROR", s.v4.String())
			}
		}
	}},
	// Updates: large files, programs among them, fetched without a browser.
	{10, anytime, somebody, func(p *plan, s *station) {
		from, domain, agent := s.v4, "download.windowsupdate.com", "Microsoft-Delivery-Optimization/10.0"
		path := "/c/msdownload/update/software/secu/2026/windows11-kb50" + p.text(5, digits) + "-x64.cab"
		switch p.below(5) {
		case 0:
			from, domain, agent = pick(p.dice, p.servers), "deb.debian.org", "Debian APT-HTTP/1.3 (3.0.3)"
			path = "/debian/pool/main/o/openssl/openssl_3.5.1-" + p.text(1, digits) + "_amd64.deb"
		case 1:
			domain, agent = "dl.google.com", "Google Update/1.3.36.372;winhttp"
			path = "/release2/chrome/" + p.text(26, alphanums) + "/chrome_installer.exe"
		case 2:
			domain, agent = "au.download.windowsupdate.com", "Microsoft BITS/7.8"
			path = "/d/msdownload/update/software/defu/2026/am_delta_" + p.text(8, lowerHex) + ".exe"
		}
		to := p.sites[24+p.below(10)].v4
		for range p.times(1, 4, time.Second, time.Minute) {
			p.request(from, to, "GET", domain, path, "", agent, 206, p.spread(1e6, 900e6))
		}
	}},
	// An antivirus program that asks by DNS whether a file is known: the file's hash is part of the name.
	{8, anytime, somebody, often(1, 3, 10*time.Millisecond, 5*time.Second, func(p *plan, s *station) {
		p.query(s.v4, p.resolver(), p.text(26, base32)+".avqs.mcafee.com", "A", "NOERROR", "127.0.0.1")
	})},
	// What machines say to all by SSDP, LLMNR and mDNS: nobody answers.
	{25, anytime, somebody, func(p *plan, s *station) {
		to := pick(p.dice, []struct {
			group    [4]byte
			port     int
			protocol string
		}{{[4]byte{239, 255, 255, 250}, 1900, ""}, {[4]byte{224, 0, 0, 252}, 5355, "dns"}, {[4]byte{224, 0, 0, 251}, 5353, "dns"}})
		e := p.udp(s.v4, netip.AddrFrom4(to.group), to.port, to.protocol)
		e.ConnState = "S0"
		count(&e.Source, p.between(40, 700), p.between(1, 4))
		e.Destination.Packets = event.Known(0)
	}},
	// The time.
	{20, anytime, somebody, func(p *plan, s *station) {
		from, to := s.v4, p.resolvers[0]
		if p.chance(20) {
			from, to = p.resolver(), p.upstream
		}
		e := p.udp(from, to, 123, "ntp")
		p.moved(e, 48, 48, p.delay(200*time.Microsecond, 40*time.Millisecond))
		count(&e.Source, 48, 1)
		count(&e.Destination, 48, 1)
	}},
	// A connection that a phone or a browser keeps to its maker, small and as regular as a beacon, on a port of
	// its own.
	{8, anytime, somebody, func(p *plan, s *station) {
		to, port := p.sites[14+p.below(5)].v4, pick(p.dice, []int{5228, 5223})
		for range p.turns(tempo{p.between(1, 3), 15 * time.Minute}, 3) {
			p.moves(p.conn(s.v4, to, port, "ssl"), bytes{300, 3000}, bytes{300, 4000}, time.Minute, 28*time.Minute)
		}
	}},
	// The application at its database.
	{40, anytime, nobody, often(2, 10, time.Millisecond, 2*time.Second, func(p *plan, _ *station) {
		p.moves(p.conn(p.app, p.database, 5432, "postgresql"), bytes{300, 90000}, bytes{500, 2e6}, 500*time.Microsecond, 4*time.Second)
	})},
	// The domain controllers among themselves, and servers that send their logs or are asked how they are.
	{20, anytime, nobody, func(p *plan, _ *station) {
		i := p.below(2)
		switch p.below(3) {
		case 0:
			port := pick(p.dice, []int{135, 389, 445, 49668})
			p.moves(p.conn(p.resolvers[i], p.resolvers[1-i], port, "dce_rpc"), bytes{500, 90000}, bytes{500, 900000}, time.Millisecond, 10*time.Second)
		case 1:
			e := p.udp(p.server(p.monitor), p.monitor, 514, "syslog")
			e.ConnState = "S0"
			count(&e.Source, p.spread(80, 9000), p.between(1, 9))
		default:
			p.moves(p.udp(p.monitor, p.server(p.monitor), 161, "snmp"), bytes{40, 400}, bytes{40, 1400}, time.Millisecond, 90*time.Millisecond)
		}
	}},
	// Programs that log in by themselves.
	{10, anytime, nobody, func(p *plan, _ *station) {
		dc := p.resolver()
		p.login(p.server(dc), dc, "ldap", pick(p.dice, lists.ServiceAccounts), true)
	}},
	// A scheduled job whose password was changed: it fails at regular times, all day.
	{3, regular, nobody, func(p *plan, _ *station) { p.login(p.app, p.files, "smb", "svc-reports", false) }},
	// Backups: gigabytes, within the house and to a data centre outside, as a thief would move them.
	{4, anytime, nobody, func(p *plan, _ *station) {
		from, to, port, protocol := p.server(p.backup), p.backup, 445, "smb"
		switch p.below(6) {
		case 0:
			from, to, port, protocol = p.backup, p.offsite, 443, "ssl"
		case 1:
			port, protocol = 22, "ssh"
		}
		for range p.times(1, 4, time.Second, 5*time.Minute) {
			p.moves(p.conn(from, to, port, protocol), bytes{50e6, 20e9}, bytes{90000, 9e6}, 20*time.Second, time.Hour)
		}
	}},
	// The IT's own scanner. It knows the servers and what they should offer, goes slowly from one to the next and
	// finds nearly all ports open: by that, and not by its address, it can be told from a stranger who tries
	// doors.
	{12, anytime, nobody, func(p *plan, _ *station) {
		server := pick(p.dice, p.servers)
		ports := []int{22, 80, 135, 443, 445, 3389, 5985, 8443, 9100}
		shuffle(p.dice, ports)
		for i := range p.times(4, 8, 2*time.Second, 20*time.Second) {
			e := p.conn(p.scanner, server, ports[i], "")
			switch k := p.below(100); {
			case k < 5:
				p.refused(e)
			case k < 7:
				p.unanswered(e)
			default:
				p.moves(e, bytes{60, 9000}, bytes{60, 90000}, 5*time.Millisecond, 3*time.Second)
			}
		}
		if p.chance(50) { // it logs in to look at patches
			p.login(p.scanner, server, "ssh", "svc-inventory", true)
		}
	}},
	// The monitoring: every server on its port, as regular as a beacon.
	{70, regular, nobody, func(p *plan, _ *station) {
		for i := range p.turns(tempo{len(p.servers), 300 * time.Millisecond}, 30) {
			switch server, port := p.servers[i], [...]int{25, 443, 443, 22, 53, 389, 445, 8080, 5432, 443, 22, 9090}[i]; {
			case server == p.monitor:
			case port == 8080:
				agent := "check_http/v2.4.5 (monitoring-plugins 2.4.0)"
				p.request(p.monitor, server, "GET", "app."+p.domain, "/health", "", agent, 200, 320)
			case p.chance(25):
				p.moved(p.ping(p.monitor, server), 56, 56, p.delay(100*time.Microsecond, 4*time.Millisecond))
			default:
				e := p.conn(p.monitor, server, port, "")
				p.moved(e, p.between(60, 300), p.between(100, 900), p.delay(time.Millisecond, 60*time.Millisecond))
			}
		}
	}},
	// A service that watches the website from outside.
	{15, regular, nobody, func(p *plan, _ *station) {
		p.requestWebsite(p.probe, "GET", "/", "", "UptimeRobot/2.0; http://www.uptimerobot.com/", 200, 5120)
	}},
	// A load balancer that asks for a page that was removed.
	{12, regular, nobody, func(p *plan, _ *station) {
		p.request(p.vpn, p.web, "GET", p.web.String(), "/healthz", "", "HAProxy/health", 404, 180)
	}},
	// Another company's program that talks to the website.
	{15, anytime, nobody, often(3, 15, 200*time.Millisecond, 4*time.Second, func(p *plan, _ *station) {
		p.order()
	})},
	// An old interface to a partner: files leave the house in clear, but small ones.
	{3, anytime, nobody, often(1, 4, time.Second, 20*time.Second, func(p *plan, _ *station) {
		p.moves(p.conn(p.app, p.partner, 21, "ftp"), bytes{2000, 4e6}, bytes{300, 2000}, 200*time.Millisecond, 20*time.Second)
	})},
	// Pings by somebody who wonders whether the internet is there.
	{3, anytime, somebody, func(p *plan, s *station) {
		e, pings := p.ping(s.v4, p.anySite().v4), p.between(4, 60)
		p.moved(e, 64*pings, 64*pings, time.Duration(pings)*time.Second)
	}},
	// What lies on the web beside port 443: banks, hosters, radio.
	{6, human, somebody, func(p *plan, s *station) {
		i := p.below(len(p.sites))
		port := []int{8443, 2083, 8080, 8000, 9443, 10443, 25565, 6881}[i%8]
		for range p.times(1, 4, 200*time.Millisecond, 30*time.Second) {
			p.moves(p.conn(s.v4, p.sites[i].v4, port, "ssl"), bytes{800, 90000}, bytes{3000, 30e6}, 100*time.Millisecond, 10*time.Minute)
		}
	}},
	// The video recorder, which streams from all cameras and takes a still picture now and then.
	{10, regular, nobody, func(p *plan, _ *station) {
		camera := pick(p.dice, p.cameras)
		if p.chance(30) {
			p.photograph(p.recorder, camera, "NVR-4108/3.2")
			return
		}
		p.moved(p.conn(p.recorder, camera, 554, "rtsp"), p.spread(3000, 30000), p.spread(30e6, 300e6), p.jitter(5*time.Minute, 2))
	}},
	{2, anytime, nobody, func(p *plan, _ *station) {
		m := pick(p.dice, mishaps)
		m.plan(p, m.who(p))
	}},
}

var habitShares = func() (sum int) {
	for _, h := range habits {
		sum += h.share
	}
	return sum
}()

// mishaps happen on some days and look like an attack to any honest rule: they
// are why there are false alarms. There are few of them: one or two events in a
// thousand.
var mishaps = []struct {
	who  actor
	plan func(*plan, *station)
}{
	// A phone that does not know yet of the new password.
	{somebody, func(p *plan, s *station) {
		gap := p.delay(4*time.Second, 40*time.Second)
		for range p.turns(tempo{p.between(6, 14), gap}, 10) {
			p.login(s.v4, p.mail, "imap", s.user, false)
		}
		p.login(s.v4, p.mail, "imap", s.user, p.chance(70))
	}},
	// A directory that is out, and refuses a whole branch for some minutes.
	{nobody, func(p *plan, _ *station) {
		branch, first, people := pick(p.dice, p.branches), p.below(len(p.stations)), p.between(4, 9)
		for i := range 2 * people {
			user := p.stations[(first+i%people)%len(p.stations)].user
			p.login(branch, p.vpn, "vpn", user, i >= people)
			p.pause(2*time.Second, 40*time.Second)
		}
	}},
	// A supplier who may look at a machine.
	{somebody, func(p *plan, s *station) {
		relay, name := p.outside(), "relay-"+p.text(8, lowerHex)+".net.anydesk.com"
		p.moves(p.call(s.v4, name, relay, 443, "ssl"), bytes{3e6, 90e6}, bytes{300000, 9e6}, 5*time.Minute, time.Hour)
	}},
	// A developer who tries something out.
	{somebody, func(p *plan, s *station) {
		host := p.git
		if p.chance(50) {
			host = p.outside()
		}
		path := "/" + pick(p.dice, []string{"install.sh", "setup.exe", "demo.zip", "build.tar.gz"})
		agent := pick(p.dice, []string{"curl/8.10.1", "Wget/1.21.4", s.agent})
		p.request(s.v4, host, "GET", host.String(), path, "", agent, 200, p.spread(5000, 50e6))
	}},
	// The search engine after the website was rebuilt.
	{nobody, often(15, 40, time.Second, 12*time.Second, func(p *plan, _ *station) {
		p.requestWebsite(p.crawler, "GET", p.archived()+"-"+pick(p.dice, lists.Words), "", crawlerAgent, 404, 700)
	})},
	// The partner's program after its weekend.
	{nobody, func(p *plan, _ *station) {
		gap := p.delay(150*time.Millisecond, 900*time.Millisecond)
		for range p.turns(tempo{p.between(40, 120), gap}, 60) {
			p.order()
		}
	}},
	// A download from strangers, each asked for a part of a file; most are away.
	{somebody, often(12, 30, time.Second, 40*time.Second, func(p *plan, s *station) {
		e := p.conn(s.v4, p.outside(), pick(p.dice, []int{6881, 51413, p.between(10000, 60000)}), "")
		if p.chance(60) {
			p.unanswered(e)
		} else {
			p.moves(e, bytes{900, 4e6}, bytes{900, 40e6}, time.Second, 5*time.Minute)
		}
	})},
	// An antivirus program that looks up every file of an archive.
	{somebody, often(10, 40, 100*time.Millisecond, 6*time.Second, func(p *plan, s *station) {
		name := p.text(26, base32) + "." + p.text(p.between(8, 30), base32) + ".avqs.mcafee.com"
		p.query(s.v4, p.resolvers[0], name, "A", "NOERROR", "127.0.0.1")
	})},
	// One of the IT's people who helps many others.
	{nobody, often(3, 7, time.Minute, 8*time.Minute, func(p *plan, _ *station) {
		helper := &p.stations[0]
		p.login(helper.v4, p.stations[1+p.below(len(p.stations)-1)].v4, "rdp", helper.user, true)
	})},
	// A printer's set-up program, which tries a whole subnet.
	{somebody, func(p *plan, s *station) {
		for i := range p.turns(tempo{p.between(15, 40), 300 * time.Millisecond}, 20) {
			e := p.conn(s.v4, p.host(3, 1+i), 9100, "")
			if e.Destination.IP == p.printer {
				p.moved(e, 200, 900, 40*time.Millisecond)
			} else {
				p.unanswered(e)
			}
		}
	}},
}

// tls adds a web connection whose content is not seen.
func (p *plan) tls(s *station, to *station, sent, received int, took time.Duration) *event.Event {
	from, dst := s.v4, to.v4
	if s.v6.IsValid() && to.v6.IsValid() && p.chance(70) {
		from, dst = s.v6, to.v6
	}
	e := p.conn(from, dst, 443, "ssl")
	p.moved(e, sent, received, took)
	return e
}

// archived is a page of the website that is gone.
func (p *plan) archived() string {
	return "/archive/" + strconv.Itoa(p.between(2009, 2024)) + "/" + pick(p.dice, lists.Words)
}

func (p *plan) order() {
	p.request(p.partner, p.web, "POST", "api."+p.domain, "/v1/orders", "", "OrderSync/4.2 (Java/21.0.4)", 200, p.spread(200, 9000))
}

// backwards is the beginning of the name under which a's owner is looked up.
func backwards(a netip.Addr) string {
	b := a.As4()
	slices.Reverse(b[:])
	return netip.AddrFrom4(b).String()
}

const crawlerAgent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
