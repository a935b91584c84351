package traffic

import (
	"net/netip"
	"strconv"
	"time"

	"soclab/pkg/event"
)

// habit is a kind of benign activity.
type habit struct {
	share   int // of the benign events, in parts of habitShares
	human   bool
	regular bool // as a clock, and not now and then
	plan    func(*plan)
}

// habits is the company's ordinary traffic. Much of it looks like an attack
// from some side: see the comments of the functions.
var habits = []habit{
	{share: 330, human: true, plan: (*plan).browse},
	{share: 80, human: true, plan: (*plan).cloudService},
	{share: 50, human: true, plan: (*plan).intranet},
	{share: 50, human: true, plan: (*plan).readMail},
	{share: 60, human: true, plan: (*plan).fileShare},
	{share: 45, human: true, plan: (*plan).logOn},
	{share: 8, human: true, plan: (*plan).administer},
	{share: 10, human: true, plan: (*plan).remoteDesktop},
	{share: 8, human: true, plan: (*plan).videoCall},
	{share: 3, human: true, plan: (*plan).cloudUpload},
	{share: 8, human: true, plan: (*plan).printPage},
	{share: 10, human: true, plan: (*plan).mistypeName},
	{share: 6, human: true, plan: (*plan).brokenIPv6},
	{share: 70, human: true, plan: (*plan).visitWebsite},
	{share: 35, human: true, plan: (*plan).guestWiFi},
	{share: 12, human: true, plan: (*plan).branchLogins},
	{share: 12, plan: (*plan).crawl},
	{share: 40, plan: (*plan).transferMail},
	{share: 25, plan: (*plan).forwardQueries},
	{share: 10, plan: (*plan).updateSoftware},
	{share: 8, plan: (*plan).lookUpReputation},
	{share: 25, plan: (*plan).announce},
	{share: 20, plan: (*plan).askTime},
	{share: 8, plan: (*plan).holdPushChannel},
	{share: 40, plan: (*plan).queryDatabase},
	{share: 20, plan: (*plan).replicateDirectory},
	{share: 10, plan: (*plan).serviceAccount},
	{share: 3, regular: true, plan: (*plan).stalePassword},
	{share: 4, plan: (*plan).backUp},
	{share: 12, plan: (*plan).inventory},
	{share: 70, regular: true, plan: (*plan).pollServers},
	{share: 15, regular: true, plan: (*plan).probeWebsite},
	{share: 12, regular: true, plan: (*plan).checkHealth},
	{share: 15, plan: (*plan).partnerOrders},
	{share: 3, plan: (*plan).deliverByFTP},
	{share: 3, plan: (*plan).pingOutside},
	{share: 6, human: true, plan: (*plan).oddPort},
	{share: 10, regular: true, plan: (*plan).recordCameras},
	{share: 2, plan: (*plan).mishap},
}

var habitShares = func() (sum int) {
	for _, h := range habits {
		sum += h.share
	}
	return sum
}()

// server is one of the company's servers, but not the given one.
func (p *plan) server(not netip.Addr) netip.Addr {
	for {
		if s := pick(p.dice, p.servers); s != not {
			return s
		}
	}
}

// somebody is a workstation that is in use.
func (p *plan) somebody() *station { return &p.stations[p.below(len(p.stations))] }

// tls adds a web connection whose content is not seen.
func (p *plan) tls(s *station, to *site, sent, received int, took time.Duration) *event.Event {
	from, dst := s.v4, to.v4
	if s.v6.IsValid() && to.v6.IsValid() && p.chance(70) {
		from, dst = s.v6, to.v6
	}
	e := p.conn(from, dst, 443, "ssl")
	p.moved(e, sent, received, took)
	return e
}

// browse loads a page: names, some of them of content networks and as odd as
// an algorithm's, then connections.
func (p *plan) browse() {
	s := p.somebody()
	for range p.between(1, 4) {
		to := &p.sites[p.below(len(p.sites))]
		if p.chance(60) {
			p.resolve(s.v4, to)
		}
		for range p.between(1, 3) {
			switch k := p.below(100); {
			case k < 12:
				path := pick(p.dice, webPaths)
				status := 200
				if p.chance(6) {
					status = pick(p.dice, []int{301, 304, 404, 404, 403})
				}
				p.request(s.v4, to.v4, "GET", to.name, path, "", s.agent, status, p.spread(300, 400000))
			case k < 13: // servers of the internet are down at times
				p.unanswered(p.conn(s.v4, to.v4, 443, ""))
			case k < 14:
				e := p.tls(s, to, p.spread(200, 4000), 0, time.Millisecond)
				e.ConnState = "RSTO"
			default:
				p.tls(s, to, p.spread(600, 60000), p.spread(2000, 4000000), p.delay(50*time.Millisecond, 2*time.Minute))
			}
			p.wait(p.delay(time.Millisecond, 700*time.Millisecond))
		}
	}
}

// cloudService works in a program on the web: few places, many connections.
func (p *plan) cloudService() {
	s := p.somebody()
	to := &p.sites[10+p.below(14)]
	for range p.between(1, 5) {
		p.tls(s, to, p.spread(800, 200000), p.spread(1000, 900000), p.delay(100*time.Millisecond, 10*time.Minute))
		p.wait(p.delay(100*time.Millisecond, 20*time.Second))
	}
}

// intranet uses the company's own web application, forgotten links included.
func (p *plan) intranet() {
	s := p.somebody()
	for range p.between(2, 9) {
		path, status := pick(p.dice, intranetPaths), 200
		if p.chance(4) {
			path, status = "/wiki/"+pick(p.dice, words)+"-"+pick(p.dice, words), 404
		}
		method := "GET"
		if p.chance(15) {
			method = "POST"
		}
		p.request(s.v4, p.app, method, "intranet."+p.domain, path, "", s.agent, status, p.spread(400, 90000))
		p.wait(p.delay(50*time.Millisecond, 15*time.Second))
	}
}

func (p *plan) readMail() {
	s := p.somebody()
	if p.chance(30) {
		p.login(s.v4, p.mail, imapService, s.user, !p.chance(3))
		p.wait(p.delay(10*time.Millisecond, time.Second))
	}
	p.moved(p.conn(s.v4, p.mail, 993, "ssl"), p.spread(500, 9000), p.spread(900, 6000000), p.delay(time.Second, 20*time.Minute))
	if p.chance(35) {
		p.wait(p.delay(time.Second, 5*time.Minute))
		p.moved(p.conn(s.v4, p.mail, 587, "smtp"), p.spread(900, 15000000), p.spread(300, 900), p.delay(100*time.Millisecond, 20*time.Second))
	}
}

// fileShare opens files; some machines still ask for a server that is gone.
func (p *plan) fileShare() {
	s := p.somebody()
	if p.chance(20) {
		p.login(s.v4, p.files, smbService, s.user, !p.chance(2))
		p.wait(p.delay(time.Millisecond, 80*time.Millisecond))
	}
	for range p.between(1, 4) {
		p.moved(p.conn(s.v4, p.files, 445, "smb"), p.spread(900, 40000000), p.spread(900, 90000000), p.delay(20*time.Millisecond, 15*time.Minute))
		p.wait(p.delay(50*time.Millisecond, 40*time.Second))
	}
	if p.chance(4) {
		for range p.between(1, 3) {
			p.unanswered(p.conn(s.v4, p.retired, 445, ""))
			p.wait(p.jitter(time.Second, 20))
		}
	}
}

// logOn is somebody's morning, or the return from a break: one of ten mistypes
// the password, up to four times.
func (p *plan) logOn() {
	s := p.somebody()
	dc := p.resolvers[p.below(2)]
	if p.chance(10) {
		for range p.between(1, 4) {
			p.login(s.v4, dc, kerberosService, s.user, false)
			p.wait(p.delay(2*time.Second, 25*time.Second))
		}
	}
	p.login(s.v4, dc, kerberosService, s.user, true)
	p.wait(p.delay(5*time.Millisecond, 300*time.Millisecond))
	for range p.between(1, 3) {
		p.moved(p.conn(s.v4, dc, pick(p.dice, []int{389, 88, 135, 445}), "krb"), p.spread(300, 5000), p.spread(300, 20000), p.delay(time.Millisecond, time.Second))
		p.wait(p.delay(time.Millisecond, 200*time.Millisecond))
	}
}

// administer is one of the IT's people on the jump host, who goes on from
// there to a server or two.
func (p *plan) administer() {
	s := &p.stations[p.below(3)]
	if p.chance(5) {
		p.login(s.v4, p.jump, sshService, s.user, false)
		p.wait(p.delay(2*time.Second, 10*time.Second))
	}
	p.login(s.v4, p.jump, sshService, s.user, true)
	p.wait(p.delay(5*time.Second, 90*time.Second))
	for range p.between(0, 2) {
		server := p.server(p.jump)
		p.login(p.jump, server, sshService, s.user, true)
		p.moved(p.conn(p.jump, server, 22, "ssh"), p.spread(3000, 900000), p.spread(3000, 9000000), p.delay(10*time.Second, time.Hour))
		p.wait(p.delay(time.Minute, 20*time.Minute))
	}
}

// remoteDesktop works on the application server.
func (p *plan) remoteDesktop() {
	s := p.somebody()
	if p.chance(8) {
		p.login(s.v4, p.app, rdpService, s.user, false)
		p.wait(p.delay(3*time.Second, 20*time.Second))
	}
	p.login(s.v4, p.app, rdpService, s.user, true)
	p.moved(p.conn(s.v4, p.app, 3389, "rdp"), p.spread(90000, 9000000), p.spread(900000, 300000000), p.delay(time.Minute, 4*time.Hour))
}

func (p *plan) videoCall() {
	s := p.somebody()
	to := &p.sites[23]
	p.resolve(s.v4, to)
	for range p.between(1, 3) {
		bytes := p.spread(5000000, 900000000)
		p.moved(p.udp(s.v4, to.v4, pick(p.dice, []int{3478, 8801, 443}), ""), bytes, bytes, p.delay(5*time.Minute, 90*time.Minute))
		p.wait(p.delay(10*time.Millisecond, time.Second))
	}
}

// cloudUpload puts large files into the company's own storage on the web, and
// small ones into people's own, as one who steals them would.
func (p *plan) cloudUpload() {
	s := p.somebody()
	to := &p.sites[10]
	private := p.chance(15)
	for range p.between(1, 3) {
		var e *event.Event
		size := p.spread(2e6, 400e6)
		if private {
			e = p.request(s.v4, to.v4, "POST", "content.dropboxapi.com", "/2/files/upload/"+p.text(14, alphanums), "", s.agent, 200, 600)
			size = p.spread(50000, 5e6)
		} else {
			e = p.request(s.v4, to.v4, "PUT", "team-my.sharepoint.com", "/_api/v2.0/drive/items/"+p.text(12, alphanums)+"/content", "", s.agent, 201, 600)
		}
		e.Destination.Port = event.Known(443) // the proxy looks into TLS
		p.moved(e, size, 700, p.delay(2*time.Second, 4*time.Minute))
		p.wait(p.delay(time.Second, time.Minute))
	}
}

func (p *plan) printPage() {
	s := p.somebody()
	p.moved(p.conn(s.v4, p.printer, pick(p.dice, []int{9100, 631}), ""), p.spread(20000, 20000000), p.spread(100, 2000), p.delay(100*time.Millisecond, 40*time.Second))
}

// mistypeName asks for names that do not exist: typing errors, search suffixes
// and the three random names by which browsers find out whether answers are
// forged.
func (p *plan) mistypeName() {
	s := p.somebody()
	resolver := p.resolvers[p.below(2)]
	switch p.below(4) {
	case 0:
		p.query(s.v4, resolver, pick(p.dice, []string{"wwww.wikipedia.org", "gihtub.com", "goolge.com", "outlok.office.com", "wikipeda.org", "stackoverfow.com"}), "A", "NXDOMAIN", "")
	case 1:
		p.query(s.v4, resolver, pick(p.dice, siteNames)+"."+p.domain, "A", "NXDOMAIN", "")
	case 2:
		p.query(s.v4, resolver, "wpad."+p.domain, "A", "NXDOMAIN", "")
	default:
		for range 3 {
			p.query(s.v4, resolver, p.text(p.between(7, 15), letters), "A", "NXDOMAIN", "")
			p.wait(p.delay(time.Millisecond, 10*time.Millisecond))
		}
	}
}

// brokenIPv6 is a machine that tries IPv6 first and gets no answers, from one
// place after the other.
func (p *plan) brokenIPv6() {
	s := p.somebody()
	if !s.v6.IsValid() {
		s = &p.stations[0]
	}
	for range p.between(1, 4) {
		to := &p.sites[p.below(len(p.sites))]
		if to.v6.IsValid() && s.v6.IsValid() {
			p.unanswered(p.conn(s.v6, to.v6, 443, ""))
			p.wait(p.jitter(250*time.Millisecond, 10)) // RFC 8305, section 5
		}
		p.moved(p.conn(s.v4, to.v4, 443, "ssl"), p.spread(600, 20000), p.spread(2000, 900000), p.delay(50*time.Millisecond, time.Minute))
		p.wait(p.delay(5*time.Second, time.Minute))
	}
}

// visitWebsite is somebody on the internet who reads the company's website.
func (p *plan) visitWebsite() {
	v := &p.visitors[p.below(len(p.visitors))]
	for range p.between(2, 12) {
		path, status := pick(p.dice, publicPaths), 200
		switch k := p.below(100); {
		case k < 4:
			path, status = "/"+pick(p.dice, words)+".html", 404
		case k < 12:
			status = 304
		}
		p.request(v.v4, p.web, "GET", "www."+p.domain, path, "", v.agent, status, p.spread(200, 300000))
		p.wait(p.delay(20*time.Millisecond, 8*time.Second))
	}
	if p.chance(5) { // a customer logs in, mostly
		for p.chance(20) {
			p.request(v.v4, p.web, "POST", "www."+p.domain, "/account/login", "", v.agent, 401, 900)
			p.wait(p.delay(4*time.Second, 30*time.Second))
		}
		p.request(v.v4, p.web, "POST", "www."+p.domain, "/account/login", "", v.agent, 302, 600)
	}
}

// guestWiFi is many phones behind one address: names of all kinds, some wrong.
func (p *plan) guestWiFi() {
	gateway := pick(p.dice, p.guests)
	for range p.between(1, 6) {
		to := &p.sites[p.below(len(p.sites))]
		if p.chance(6) {
			p.query(gateway, p.resolvers[0], p.text(p.between(5, 9), letters)+pick(p.dice, []string{".lan", ".local", ".fritz.box", ".com"}), "A", "NXDOMAIN", "")
		} else {
			p.resolve(gateway, to)
		}
		p.moved(p.conn(gateway, to.v4, 443, "ssl"), p.spread(600, 90000), p.spread(2000, 9000000), p.delay(50*time.Millisecond, 5*time.Minute))
		p.wait(p.delay(10*time.Millisecond, 4*time.Second))
	}
}

// branchLogins are the people of an office elsewhere, who come in one after
// the other from one address, as in spraying; but few of them fail.
func (p *plan) branchLogins() {
	branch := pick(p.dice, p.branches)
	for range p.between(1, 6) {
		user := p.somebody().user
		to, service := p.vpn, vpnService
		if p.chance(40) {
			to, service = p.mail, imapService
		}
		if p.chance(6) {
			for range p.between(1, 3) {
				p.login(branch, to, service, user, false)
				p.wait(p.delay(3*time.Second, 20*time.Second))
			}
		}
		p.login(branch, to, service, user, true)
		p.wait(p.delay(2*time.Second, 2*time.Minute))
	}
}

// crawl is a search engine: one path after the other, some of them gone.
func (p *plan) crawl() {
	for range p.between(3, 10) {
		path, status := pick(p.dice, publicPaths), 200
		if p.chance(12) {
			path, status = "/archive/"+strconv.Itoa(p.between(2009, 2024))+"/"+pick(p.dice, words), 404
		}
		p.request(p.crawler, p.web, "GET", "www."+p.domain, path, "", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", status, p.spread(900, 90000))
		p.wait(p.delay(2*time.Second, 30*time.Second))
	}
}

// transferMail is the mail server at work. Its questions are as long and as
// many as those of a tunnel: SPF and DKIM keys as TXT, senders looked up
// backwards, and block lists whose answer for an honest sender is NXDOMAIN.
func (p *plan) transferMail() {
	resolver := p.resolvers[p.below(2)]
	peer := p.outside()
	sender := pick(p.dice, mailDomains)
	b := peer.As4()
	backwards := strconv.Itoa(int(b[3])) + "." + strconv.Itoa(int(b[2])) + "." + strconv.Itoa(int(b[1])) + "." + strconv.Itoa(int(b[0]))
	ask := func(name, kind, code, answer string) {
		p.query(p.mail, resolver, name, kind, code, answer)
		p.wait(p.delay(time.Millisecond, 40*time.Millisecond))
	}
	if p.chance(40) { // outgoing
		ask(sender, "MX", "NOERROR", "mx1."+sender)
		p.moved(p.conn(p.mail, peer, 25, "smtp"), p.spread(2000, 20000000), p.spread(300, 900), p.delay(200*time.Millisecond, 30*time.Second))
		return
	}
	p.moved(p.conn(peer, p.mail, 25, "smtp"), p.spread(2000, 20000000), p.spread(300, 900), p.delay(200*time.Millisecond, 30*time.Second))
	ask(backwards+".in-addr.arpa", "PTR", "NOERROR", "mail."+sender)
	ask(backwards+".zen.spamhaus.org", "A", "NXDOMAIN", "")
	if p.chance(50) {
		ask(backwards+".bl.spamcop.net", "A", "NXDOMAIN", "")
	}
	ask(sender, "TXT", "NOERROR", "v=spf1 include:_spf."+sender+" ip4:"+peer.String()+" -all")
	ask("selector"+strconv.Itoa(p.between(1, 2))+"-"+words[int(b[1])%len(words)]+"._domainkey."+sender, "TXT", "NOERROR",
		"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC"+p.text(60, alphanums))
}

// forwardQueries is a resolver that asks on behalf of all: many questions, many
// of them for names that do not exist.
func (p *plan) forwardQueries() {
	resolver := p.resolvers[p.below(2)]
	for range p.between(1, 5) {
		s := &p.sites[p.below(len(p.sites))]
		switch {
		case p.chance(10):
			name := pick(p.dice, []string{"www.", "mail.", "autodiscover.", "img.", ""}) + pick(p.dice, words) + pick(p.dice, []string{"-", ""}) + pick(p.dice, words) + ".com"
			p.query(resolver, p.upstream, name, "A", "NXDOMAIN", "")
		case p.chance(8):
			a := s.v4.As4()
			p.query(resolver, p.upstream, strconv.Itoa(int(a[3]))+"."+strconv.Itoa(int(a[2]))+"."+strconv.Itoa(int(a[1]))+"."+strconv.Itoa(int(a[0]))+".in-addr.arpa", "PTR", "NXDOMAIN", "")
		default:
			p.query(resolver, p.upstream, s.name, "A", "NOERROR", s.v4.String())
		}
		p.wait(p.delay(time.Millisecond, 200*time.Millisecond))
	}
}

// updateSoftware fetches large files, programs among them, without a browser.
func (p *plan) updateSoftware() {
	from := p.somebody().v4
	domain, agent, path := "download.windowsupdate.com", "Microsoft-Delivery-Optimization/10.0", "/c/msdownload/update/software/secu/2026/windows11-kb50"+p.text(5, digits)+"-x64.cab"
	switch p.below(5) {
	case 0:
		from = pick(p.dice, p.servers)
		domain, agent, path = "deb.debian.org", "Debian APT-HTTP/1.3 (3.0.3)", "/debian/pool/main/o/openssl/openssl_3.5.1-"+p.text(1, digits)+"_amd64.deb"
	case 1:
		domain, agent, path = "dl.google.com", "Google Update/1.3.36.372;winhttp", "/release2/chrome/"+p.text(26, alphanums)+"/chrome_installer.exe"
	case 2:
		domain, agent, path = "au.download.windowsupdate.com", "Microsoft BITS/7.8", "/d/msdownload/update/software/defu/2026/am_delta_"+p.text(8, lowerHex)+".exe"
	}
	to := p.sites[24+p.below(10)].v4
	for range p.between(1, 4) {
		p.request(from, to, "GET", domain, path, "", agent, 206, p.spread(1000000, 900000000))
		p.wait(p.delay(time.Second, time.Minute))
	}
}

// lookUpReputation is an antivirus program that asks by DNS whether a file is
// known: the file's hash is part of the name.
func (p *plan) lookUpReputation() {
	s := p.somebody()
	for range p.between(1, 3) {
		p.query(s.v4, p.resolvers[p.below(2)], p.text(26, base32)+".avqs.mcafee.com", "A", "NOERROR", "127.0.0.1")
		p.wait(p.delay(10*time.Millisecond, 5*time.Second))
	}
}

var (
	mdns = netip.MustParseAddr("224.0.0.251")
	ssdp = netip.MustParseAddr("239.255.255.250")
	llnr = netip.MustParseAddr("224.0.0.252")
)

// announce is what machines say to all: nobody answers.
func (p *plan) announce() {
	s := p.somebody()
	to, port, protocol := mdns, 5353, "dns"
	switch p.below(3) {
	case 0:
		to, port, protocol = ssdp, 1900, ""
	case 1:
		to, port, protocol = llnr, 5355, "dns"
	}
	e := p.udp(s.v4, to, port, protocol)
	e.ConnState = "S0"
	e.Source.Bytes, e.Source.Packets = event.Known(int64(p.between(40, 700))), event.Known(int64(p.between(1, 4)))
	e.Destination.Packets = event.Known(0)
}

func (p *plan) askTime() {
	from := p.somebody().v4
	to := p.resolvers[0]
	if p.chance(20) {
		from, to = p.resolvers[p.below(2)], p.upstream
	}
	e := p.udp(from, to, 123, "ntp")
	p.moved(e, 48, 48, p.delay(200*time.Microsecond, 40*time.Millisecond))
	e.Source.Packets, e.Destination.Packets = event.Known(1), event.Known(1)
}

// holdPushChannel is a connection that a phone or a browser keeps to its maker,
// small and as regular as a beacon, on a port of its own.
func (p *plan) holdPushChannel() {
	s := p.somebody()
	to := &p.sites[14+p.below(5)]
	port := pick(p.dice, []int{5228, 5223})
	for range p.between(1, 3) {
		p.moved(p.conn(s.v4, to.v4, port, "ssl"), p.spread(300, 3000), p.spread(300, 4000), p.delay(time.Minute, 28*time.Minute))
		p.wait(p.jitter(15*time.Minute, 3))
	}
}

func (p *plan) queryDatabase() {
	for range p.between(2, 10) {
		p.moved(p.conn(p.app, p.database, 5432, "postgresql"), p.spread(300, 90000), p.spread(500, 2000000), p.delay(500*time.Microsecond, 4*time.Second))
		p.wait(p.delay(time.Millisecond, 2*time.Second))
	}
}

// replicateDirectory is the domain controllers among themselves, and servers
// that send their logs.
func (p *plan) replicateDirectory() {
	i := p.below(2)
	switch p.below(3) {
	case 0:
		p.moved(p.conn(p.resolvers[i], p.resolvers[1-i], pick(p.dice, []int{135, 389, 445, 49668}), "dce_rpc"), p.spread(500, 90000), p.spread(500, 900000), p.delay(time.Millisecond, 10*time.Second))
	case 1:
		e := p.udp(p.server(p.monitor), p.monitor, 514, "syslog")
		e.ConnState = "S0"
		e.Source.Bytes, e.Source.Packets = event.Known(int64(p.spread(80, 9000))), event.Known(int64(p.between(1, 9)))
	default:
		p.moved(p.udp(p.monitor, p.server(p.monitor), 161, "snmp"), p.spread(40, 400), p.spread(40, 1400), p.delay(time.Millisecond, 90*time.Millisecond))
	}
}

// serviceAccount is a program that logs in by itself.
func (p *plan) serviceAccount() {
	dc := p.resolvers[p.below(2)]
	p.login(p.server(dc), dc, ldapService, pick(p.dice, serviceAccounts), true)
}

// stalePassword is a scheduled job whose password was changed: it fails at
// regular times, all day.
func (p *plan) stalePassword() {
	p.login(p.app, p.files, smbService, "svc-reports", false)
}

// backUp moves gigabytes, within the house and to a data centre outside: as a
// thief would.
func (p *plan) backUp() {
	from, to, port, protocol := p.server(p.backup), p.backup, 445, "smb"
	switch p.below(6) {
	case 0:
		from, to, port, protocol = p.backup, p.offsite, 443, "ssl"
	case 1:
		to, port, protocol = p.backup, 22, "ssh"
	}
	for range p.between(1, 4) {
		p.moved(p.conn(from, to, port, protocol), p.spread(50e6, 20e9), p.spread(90000, 9000000), p.delay(20*time.Second, time.Hour))
		p.wait(p.delay(time.Second, 5*time.Minute))
	}
}

// inventory is the IT's own scanner. It knows the servers and what they should
// offer, goes slowly from one to the next and finds nearly all ports open: by
// that, and not by its address, it can be told from a stranger who tries doors.
func (p *plan) inventory() {
	server := pick(p.dice, p.servers)
	ports := []int{22, 80, 135, 443, 445, 3389, 5985, 8443, 9100}
	shuffle(p.dice, ports)
	for _, port := range ports[:p.between(4, 8)] {
		e := p.conn(p.scanner, server, port, "")
		switch k := p.below(100); {
		case k < 5:
			p.refused(e)
		case k < 7:
			p.unanswered(e)
		default:
			p.moved(e, p.spread(60, 9000), p.spread(60, 90000), p.delay(5*time.Millisecond, 3*time.Second))
		}
		p.wait(p.delay(2*time.Second, 20*time.Second))
	}
	if p.chance(50) { // it logs in to look at patches
		p.login(p.scanner, server, sshService, "svc-inventory", true)
	}
}

// pollServers is the monitoring: every server on its port, as regular as a
// beacon.
func (p *plan) pollServers() {
	for i, server := range p.servers {
		if server == p.monitor {
			continue
		}
		port := [...]int{25, 443, 443, 22, 53, 389, 445, 8080, 5432, 443, 22, 9090}[i]
		switch {
		case port == 8080:
			p.request(p.monitor, server, "GET", "app."+p.domain, "/health", "", "check_http/v2.4.5 (monitoring-plugins 2.4.0)", 200, 320)
		case p.chance(25):
			e := p.conn(p.monitor, server, 8, "")
			e.Transport, e.ConnState = "icmp", "OTH"
			e.Source.Port, e.Destination.Port = event.Known(8), event.Known(0)
			p.moved(e, 56, 56, p.delay(100*time.Microsecond, 4*time.Millisecond))
		default:
			p.moved(p.conn(p.monitor, server, port, ""), p.between(60, 300), p.between(100, 900), p.delay(time.Millisecond, 60*time.Millisecond))
		}
		p.wait(p.jitter(300*time.Millisecond, 30))
	}
}

// probeWebsite is a service that watches the website from outside.
func (p *plan) probeWebsite() {
	p.request(p.probe, p.web, "GET", "www."+p.domain, "/", "", "UptimeRobot/2.0; http://www.uptimerobot.com/", 200, 5120)
}

// checkHealth is a load balancer that asks for a page that was removed.
func (p *plan) checkHealth() {
	p.request(p.vpn, p.web, "GET", p.web.String(), "/healthz", "", "HAProxy/health", 404, 180)
}

// partnerOrders is another company's program that talks to the website.
func (p *plan) partnerOrders() {
	for range p.between(3, 15) {
		p.request(p.partner, p.web, "POST", "api."+p.domain, "/v1/orders", "", "OrderSync/4.2 (Java/21.0.4)", 200, p.spread(200, 9000))
		p.wait(p.delay(200*time.Millisecond, 4*time.Second))
	}
}

// deliverByFTP is an old interface to a partner: files leave the house in
// clear, but small ones.
func (p *plan) deliverByFTP() {
	for range p.between(1, 4) {
		p.moved(p.conn(p.app, p.partner, 21, "ftp"), p.spread(2000, 4e6), p.spread(300, 2000), p.delay(200*time.Millisecond, 20*time.Second))
		p.wait(p.delay(time.Second, 20*time.Second))
	}
}

// pingOutside is somebody who wonders whether the internet is there.
func (p *plan) pingOutside() {
	e := p.conn(p.somebody().v4, p.sites[p.below(len(p.sites))].v4, 0, "")
	e.Transport, e.ConnState = "icmp", "OTH"
	e.Source.Port = event.Known(8)
	count := p.between(4, 60)
	p.moved(e, 64*count, 64*count, time.Duration(count)*time.Second)
}

// oddPort uses what lies on the web beside port 443: banks, hosters, radio.
func (p *plan) oddPort() {
	s := p.somebody()
	i := p.below(len(p.sites))
	port := []int{8443, 2083, 8080, 8000, 9443, 10443, 25565, 6881}[i%8]
	for range p.between(1, 4) {
		p.moved(p.conn(s.v4, p.sites[i].v4, port, "ssl"), p.spread(800, 90000), p.spread(3000, 30e6), p.delay(100*time.Millisecond, 10*time.Minute))
		p.wait(p.delay(200*time.Millisecond, 30*time.Second))
	}
}

// recordCameras is the video recorder, which streams from all cameras and
// takes a still picture now and then.
func (p *plan) recordCameras() {
	camera := pick(p.dice, p.cameras)
	if p.chance(30) {
		p.request(p.recorder, camera, "GET", camera.String(), snapshotPath, "", "NVR-4108/3.2", 200, p.spread(60000, 300000))
		return
	}
	p.moved(p.conn(p.recorder, camera, 554, "rtsp"), p.spread(3000, 30000), p.spread(30e6, 300e6), p.jitter(5*time.Minute, 2))
}

const snapshotPath = "/cgi-bin/snapshot.cgi"

var (
	webPaths        = []string{"/", "/index.html", "/feed.xml", "/css/main.css", "/js/app.js", "/favicon.ico", "/images/logo.png", "/generate_204", "/ocsp", "/robots.txt", "/connecttest.txt"}
	intranetPaths   = []string{"/", "/wiki/Home", "/wiki/Holidays", "/timesheet", "/timesheet/submit", "/tickets", "/tickets/new", "/phonebook", "/canteen", "/static/app.js", "/static/style.css", "/api/notifications"}
	publicPaths     = []string{"/", "/products", "/products/pump-200", "/products/valve-40", "/about", "/contact", "/jobs", "/press", "/css/site.css", "/js/site.js", "/img/hero.jpg", "/img/logo.svg", "/favicon.ico", "/sitemap.xml", "/search"}
	mailDomains     = []string{"gmail.com", "web.de", "outlook.com", "proton.me", "orange.fr", "lieferant-nord.example", "freight-line.example", "accounting-partners.example"}
	serviceAccounts = []string{"svc-mail", "svc-web", "svc-git", "svc-app", "svc-backup", "svc-print"}
	words           = []string{"river", "stone", "maple", "copper", "winter", "garden", "silver", "harvest", "lantern", "meadow", "signal", "anchor", "velvet", "canyon", "ember", "falcon", "quartz", "summit", "timber", "willow"}
)

// mishap is what happens on some days and looks like an attack to any honest
// rule: it is why there are false alarms. There is little of it: one or
// two events in a thousand.
func (p *plan) mishap() {
	pick(p.dice, []func(*plan){
		(*plan).oldPasswordOnPhone, (*plan).directoryOutage, (*plan).remoteSupport, (*plan).fetchByHand, (*plan).deadLinks,
		(*plan).orderBatch, (*plan).peerToPeer, (*plan).scanArchive, (*plan).helpdeskRound, (*plan).findPrinters,
	})(p)
}

// oldPasswordOnPhone is a phone that does not know yet of the new password.
func (p *plan) oldPasswordOnPhone() {
	s := p.somebody()
	gap := p.delay(4*time.Second, 40*time.Second)
	for range p.between(6, 14) {
		p.login(s.v4, p.mail, imapService, s.user, false)
		p.wait(p.jitter(gap, 10))
	}
	p.login(s.v4, p.mail, imapService, s.user, p.chance(70))
}

// directoryOutage refuses a whole branch for some minutes.
func (p *plan) directoryOutage() {
	branch, first := pick(p.dice, p.branches), p.below(len(p.stations))
	people := p.between(4, 9)
	for _, success := range []bool{false, true} {
		for i := range people {
			p.login(branch, p.vpn, vpnService, p.stations[(first+i)%len(p.stations)].user, success)
			p.wait(p.delay(2*time.Second, 40*time.Second))
		}
	}
}

// remoteSupport lets a supplier look at a machine.
func (p *plan) remoteSupport() {
	s := p.somebody()
	relay := p.outside()
	p.query(s.v4, p.resolvers[0], "relay-"+p.text(8, lowerHex)+".net.anydesk.com", "A", "NOERROR", relay.String())
	p.wait(p.delay(2*time.Millisecond, 80*time.Millisecond))
	p.moved(p.conn(s.v4, relay, 443, "ssl"), p.spread(3e6, 90e6), p.spread(300000, 9e6), p.delay(5*time.Minute, time.Hour))
}

// fetchByHand is a developer who tries something out.
func (p *plan) fetchByHand() {
	s := p.somebody()
	host := p.git
	if p.chance(50) {
		host = p.outside()
	}
	p.request(s.v4, host, "GET", host.String(), "/"+pick(p.dice, []string{"install.sh", "setup.exe", "demo.zip", "build.tar.gz"}), "", pick(p.dice, []string{"curl/8.10.1", "Wget/1.21.4", s.agent}), 200, p.spread(5000, 50e6))
}

// deadLinks is the search engine after the website was rebuilt.
func (p *plan) deadLinks() {
	for range p.between(15, 40) {
		p.request(p.crawler, p.web, "GET", "www."+p.domain, "/archive/"+strconv.Itoa(p.between(2009, 2024))+"/"+pick(p.dice, words)+"-"+pick(p.dice, words), "", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", 404, 700)
		p.wait(p.delay(time.Second, 12*time.Second))
	}
}

// orderBatch is the partner's program after its weekend.
func (p *plan) orderBatch() {
	gap := p.delay(150*time.Millisecond, 900*time.Millisecond)
	for range p.between(40, 120) {
		p.request(p.partner, p.web, "POST", "api."+p.domain, "/v1/orders", "", "OrderSync/4.2 (Java/21.0.4)", 200, p.spread(200, 9000))
		p.wait(p.jitter(gap, 60))
	}
}

// peerToPeer asks strangers for parts of a file; most are away.
func (p *plan) peerToPeer() {
	s := p.somebody()
	for range p.between(12, 30) {
		e := p.conn(s.v4, p.outside(), pick(p.dice, []int{6881, 51413, p.between(10000, 60000)}), "")
		if p.chance(60) {
			p.unanswered(e)
		} else {
			p.moved(e, p.spread(900, 4e6), p.spread(900, 40e6), p.delay(time.Second, 5*time.Minute))
		}
		p.wait(p.delay(time.Second, 40*time.Second))
	}
}

// scanArchive is an antivirus program that looks up every file of an archive.
func (p *plan) scanArchive() {
	s := p.somebody()
	for range p.between(10, 40) {
		p.query(s.v4, p.resolvers[0], p.text(26, base32)+"."+p.text(p.between(8, 30), base32)+".avqs.mcafee.com", "A", "NOERROR", "127.0.0.1")
		p.wait(p.delay(100*time.Millisecond, 6*time.Second))
	}
}

// helpdeskRound is one of the IT's people who helps many others.
func (p *plan) helpdeskRound() {
	helper := &p.stations[0]
	for range p.between(3, 7) {
		p.login(helper.v4, p.stations[1+p.below(len(p.stations)-1)].v4, rdpService, helper.user, true)
		p.wait(p.delay(time.Minute, 8*time.Minute))
	}
}

// findPrinters is a printer's set-up program, which tries a whole subnet.
func (p *plan) findPrinters() {
	s := p.somebody()
	for i := range p.between(15, 40) {
		e := p.conn(s.v4, p.host(3, 1+i), 9100, "")
		if e.Destination.IP == p.printer {
			p.moved(e, 200, 900, 40*time.Millisecond)
		} else {
			p.unanswered(e)
		}
		p.wait(p.jitter(300*time.Millisecond, 20))
	}
}
