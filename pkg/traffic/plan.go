package traffic

import (
	"fmt"
	"iter"
	"net/netip"
	"time"

	"soclab/pkg/event"
)

// plan is an activity while it is thought out: habits and scenarios add its
// events one after the other and let time pass between them.
type plan struct {
	*dice
	*network
	start  time.Time     // of the run
	at     time.Duration // now, since then
	events []planned

	// Of attacks only.
	truth    *event.Truth // of the incident that the next events belong to
	until    time.Duration
	most     int // events in an incident, if its scenario has so many
	scenario string
	run      string
	number   int // of the scenario's runs, from 1
}

func (p *plan) wait(d time.Duration)            { p.at += d.Truncate(time.Microsecond) }
func (p *plan) pause(short, long time.Duration) { p.wait(p.delay(short, long)) }

// incident begins a step of the scenario: the events from here on are part of
// it. The first technique is the best answer, the others are right too.
func (p *plan) incident(step, tactic string, techniques ...string) {
	name := fmt.Sprintf("%s-%d", p.scenario, p.number)
	if step != "" {
		name += "-" + step
	}
	p.truth = &event.Truth{Incident: name + "-" + p.run, Scenario: p.scenario, Tactic: tactic, Techniques: techniques}
}

// tempo is how many turns an incident has, and the time between them.
type tempo struct {
	n   int
	gap time.Duration
}

// tempo draws from fewest to most turns, but in small runs no more than needed,
// and a pace from fast to slow. It is slow only where half of the time that is
// left suffices: the incident, and the steps after it, end before the run does.
func (p *plan) tempo(fewest, most int, fast, slow time.Duration) tempo {
	return p.tempoOf(1, fewest, most, fast, slow)
}

// tempoOf is tempo where a turn has several events.
func (p *plan) tempoOf(events, fewest, most int, fast, slow time.Duration) tempo {
	n := p.spread(fewest, max(fewest, min(most, p.most)))
	return tempo{n, p.delay(fast, max(fast, min(slow, (p.until-p.at)/time.Duration(2*events*n))))}
}

// turns yields the numbers of t's turns, from 0, and lets its gap pass after
// each, up to percent of it more or less. A turn in which nothing happened takes
// no time.
func (p *plan) turns(t tempo, percent int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range t.n {
			before := len(p.events)
			if !yield(i) {
				return
			}
			if len(p.events) > before {
				p.wait(p.jitter(t.gap, percent))
			}
		}
	}
}

// times draws how often something is done, from low to high, and yields as
// often. After each time a pause is drawn, from short to long.
func (p *plan) times(low, high int, short, long time.Duration) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range p.between(low, high) {
			if !yield(i) {
				return
			}
			p.pause(short, long)
		}
	}
}

// often is an activity that does as times says.
func often(low, high int, short, long time.Duration, do func(*plan, *station)) func(*plan, *station) {
	return func(p *plan, s *station) {
		for range p.times(low, high, short, long) {
			do(p, s)
		}
	}
}

// actor draws who does something.
type actor func(*plan) *station

func somebody(p *plan) *station { return &p.stations[p.below(len(p.stations))] }
func itPerson(p *plan) *station { return &p.stations[p.below(3)] }
func visitor(p *plan) *station  { return &p.visitors[p.below(len(p.visitors))] } // of the website
func outsider(p *plan) *station { return &station{v4: p.outside()} }
func nobody(*plan) *station     { return nil } // machines, or several

// server is one of the company's servers, but not the given one.
func (p *plan) server(not netip.Addr) netip.Addr {
	for {
		if s := pick(p.dice, p.servers); s != not {
			return s
		}
	}
}

func (p *plan) resolver() netip.Addr { return p.resolvers[p.below(2)] }
func (p *plan) anySite() *station    { return &p.sites[p.below(len(p.sites))] }

// add adds an event that happens now.
func (p *plan) add(dataset, category, action string, from, to netip.Addr, port int) *event.Event {
	p.events = append(p.events, planned{truth: p.truth})
	e := &p.events[len(p.events)-1].Event
	e.Timestamp = p.start.Add(p.at)
	e.Dataset, e.Category, e.Action = dataset, category, action
	e.Source = event.Endpoint{IP: from, Port: event.Known(int64(p.between(32768, 60999)))}
	e.Destination = event.Endpoint{IP: to, Port: event.Known(int64(port))}
	e.Transport = "tcp"
	return e
}

// conn adds a TCP connection that came about and ended in order (SF).
func (p *plan) conn(from, to netip.Addr, port int, protocol string) *event.Event {
	e := p.add("zeek.conn", "network", "connection", from, to, port)
	e.Protocol, e.ConnState = protocol, "SF"
	return e
}

func (p *plan) udp(from, to netip.Addr, port int, protocol string) *event.Event {
	e := p.conn(from, to, port, protocol)
	e.Transport = "udp"
	return e
}

func (p *plan) ping(from, to netip.Addr) *event.Event {
	e := p.conn(from, to, 0, "")
	e.Transport, e.ConnState = "icmp", "OTH"
	e.Source.Port = event.Known(8) // echo request, RFC 792
	return e
}

// moved sets what a connection carried, and how long it took: at least as long
// as 1 Gbit/s needs.
func (p *plan) moved(e *event.Event, sent, received int, took time.Duration) {
	took = max(took, time.Duration(8*max(sent, received)))
	e.Duration = event.Known(int64(took.Truncate(time.Microsecond)))
	// Packets carry bytes and acknowledge those of the other side.
	const segment = 1400
	count(&e.Source, sent, 3+sent/segment+received/segment/2)
	count(&e.Destination, received, 3+received/segment+sent/segment/2)
}

// bytes is a range of sizes.
type bytes struct{ low, high int }

// moves draws what a connection carried, and how long it took, in these ranges.
func (p *plan) moves(e *event.Event, sent, received bytes, short, long time.Duration) {
	p.moved(e, p.spread(sent.low, sent.high), p.spread(received.low, received.high), p.delay(short, long))
}

func count(side *event.Endpoint, size, packets int) {
	side.Bytes, side.Packets = event.Known(int64(size)), event.Known(int64(packets))
}

// unanswered makes e a connection attempt that got no answer (S0).
func (p *plan) unanswered(e *event.Event) {
	e.ConnState, e.Protocol = "S0", ""
	e.Source.Packets = event.Known(int64(p.between(1, 3)))
	e.Destination.Packets = event.Known(0)
}

// refused makes e a connection attempt that was refused (REJ).
func (p *plan) refused(e *event.Event) {
	e.ConnState, e.Protocol = "REJ", ""
	e.Duration = event.Known(int64(p.delay(80*time.Microsecond, 90*time.Millisecond)))
	count(&e.Source, 0, 1)
	count(&e.Destination, 0, 1)
}

// dropped makes e a connection that its source gave up as soon as it came about
// (RSTO).
func (p *plan) dropped(e *event.Event) {
	e.ConnState = "RSTO"
	p.moved(e, 0, 0, p.delay(100*time.Microsecond, 50*time.Millisecond))
}

// query adds a DNS question and its answer; answers are empty where the code
// is not NOERROR.
func (p *plan) query(from, resolver netip.Addr, name, kind, code, answers string) *event.Event {
	e := p.add("zeek.dns", "network", "query", from, resolver, 53)
	e.Transport, e.Protocol = "udp", "dns"
	e.DNS = event.DNS{Question: name, Type: kind, ResponseCode: code, Answers: answers}
	e.Duration = event.Known(int64(p.delay(200*time.Microsecond, 80*time.Millisecond)))
	count(&e.Source, 17+len(name), 1)
	count(&e.Destination, 33+len(name)+len(answers), 1)
	return e
}

// resolve looks up a host of the internet as a browser does.
func (p *plan) resolve(from netip.Addr, s *station) {
	resolver := p.resolver()
	kind, to := "A", s.v4
	if s.v6.IsValid() && p.chance(40) {
		kind, to = "AAAA", s.v6
	}
	p.query(from, resolver, s.name, kind, "NOERROR", to.String())
	p.pause(time.Millisecond, 60*time.Millisecond)
}

// call looks up name, which is that of to, and connects to it.
func (p *plan) call(from netip.Addr, name string, to netip.Addr, port int, protocol string) *event.Event {
	p.query(from, p.resolvers[0], name, "A", "NOERROR", to.String())
	p.pause(2*time.Millisecond, 80*time.Millisecond)
	return p.conn(from, to, port, protocol)
}

func (p *plan) request(from, to netip.Addr, method, domain, path, query, agent string, status, received int) *event.Event {
	e := p.add("zeek.http", "web", "request", from, to, 80)
	e.Protocol = "http"
	e.URL = event.URL{Domain: domain, Path: path, Query: query}
	e.HTTP = event.HTTP{Method: method, Status: event.Known(int64(status))}
	e.UserAgent = agent
	sent := 60 + len(path) + len(query) + len(domain) + len(agent)
	p.moved(e, sent, received, p.delay(2*time.Millisecond, 600*time.Millisecond))
	return e
}

func (p *plan) requestWebsite(from netip.Addr, method, path, query, agent string, status, received int) {
	p.request(from, p.web, method, "www."+p.domain, path, query, agent, status, received)
}

func (p *plan) photograph(from, camera netip.Addr, agent string) {
	p.request(from, camera, "GET", camera.String(), "/cgi-bin/snapshot.cgi", "", agent, 200, p.spread(60000, 300000))
}

func (p *plan) login(from, to netip.Addr, protocol, user string, success bool) {
	e := p.add("system.auth", "authentication", "login", from, to, loginPorts[protocol])
	e.Protocol, e.User, e.Outcome = protocol, user, "failure"
	if success {
		e.Outcome = "success"
	}
}

var loginPorts = map[string]int{"ssh": 22, "kerberos": 88, "ldap": 389, "vpn": 443, "smb": 445, "imap": 993, "rdp": 3389, "winrm": 5985}
