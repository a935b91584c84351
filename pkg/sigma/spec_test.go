package sigma

import (
	"strings"
	"testing"

	"soclab/pkg/event"
)

// eventOf makes an event of JSON members, with what all events have.
func eventOf(t testing.TB, members string) *event.Event {
	t.Helper()
	text := `{"@timestamp":"2026-03-01T12:34:56Z","event.id":"C1"`
	if !strings.Contains(members, "event.category") {
		text += `,"event.dataset":"zeek.http","event.category":"web"`
	}
	if members != "" {
		text += "," + members
	}
	var e event.Event
	if err := event.DecodeJSON(text+"}", &e); err != nil {
		t.Fatalf("%s: %v", members, err)
	}
	return &e
}

// rule is a rule with a detection section.
func ruleOf(detection string) string {
	return "title: T\nlogsource: {category: web}\ndetection:\n  " + strings.ReplaceAll(strings.TrimSpace(detection), "\n", "\n  ") + "\n"
}

// TestSpecification has a row for each form of the specification: a detection
// and the events, as JSON members, that it matches and does not match.
func TestSpecification(t *testing.T) {
	for _, test := range []struct {
		name      string
		detection string
		yes, no   []string
	}{
		// Rules specification, section General
		{"text, any case", "s: {user.name: Admin}\ncondition: s",
			[]string{`"user.name":"Admin"`, `"user.name":"ADMIN"`}, []string{`"user.name":"admin2"`, ``}},
		{"text beyond ASCII, any case", "s: {user.name: ÄRGER}\ncondition: s",
			[]string{`"user.name":"ärger"`, `"user.name":"ÄRGER"`}, []string{`"user.name":"arger"`}},
		{"simple case folding", "s: {user.name|contains: KELVIN}\ncondition: s",
			[]string{`"user.name":"a kelvin"`, "\"user.name\":\"\u212Aelvin\""}, []string{`"user.name":"celvin"`}},
		{"final sigma folds", "s: {user.name: ΟΔΟΣ}\ncondition: s",
			[]string{`"user.name":"οδος"`, `"user.name":"οδοσ"`}, nil},

		// Section String Wildcard
		{"* for any text", "s: {url.path: '/a*z'}\ncondition: s",
			[]string{`"url.path":"/az"`, `"url.path":"/a/b/z"`, `"url.path":"/A-Z"`}, []string{`"url.path":"/a/zb"`, `"url.path":"x/az"`}},
		{"? for one character", "s: {url.path: '/prog?.exe'}\ncondition: s",
			[]string{`"url.path":"/progA.exe"`, `"url.path":"/progÄ.exe"`}, []string{`"url.path":"/prog.exe"`, `"url.path":"/progAB.exe"`}},
		{"* and ? together", "s: {url.path: '*/v?/*.ph?'}\ncondition: s",
			[]string{`"url.path":"/api/v1/x.php"`, `"url.path":"/v1/v22/v3/.phx"`}, []string{`"url.path":"/api/v12/x.php"`, `"url.path":"/v1/x.ph"`}},
		{"* alone is any value", "s: {user.name: '*'}\ncondition: s", []string{`"user.name":"x"`}, []string{``}},
		{"? at the ends", "s: {user.name: '?b?'}\ncondition: s", []string{`"user.name":"abc"`, `"user.name":"öbö"`}, []string{`"user.name":"ab"`}},

		// Section Escaping
		{`single backslash`, `s: {url.path: 'C:\Windows'}` + "\ncondition: s", []string{`"url.path":"C:\\Windows"`}, nil},
		{`double backslash`, `s: {url.path: 'C:\\Windows'}` + "\ncondition: s", []string{`"url.path":"C:\\Windows"`}, []string{`"url.path":"C:\\\\Windows"`}},
		{`escaped *`, `s: {url.path: 'a\*b'}` + "\ncondition: s", []string{`"url.path":"a*b"`}, []string{`"url.path":"axb"`}},
		{`escaped ?`, `s: {url.path: 'a\?b'}` + "\ncondition: s", []string{`"url.path":"a?b"`}, []string{`"url.path":"axb"`}},
		{`backslash before *`, `s: {url.path: 'a\\*'}` + "\ncondition: s", []string{`"url.path":"a\\xyz"`}, []string{`"url.path":"a*"`, `"url.path":"axyz"`}},
		{`backslash and plain *`, `s: {url.path: 'a\\\*'}` + "\ncondition: s", []string{`"url.path":"a\\*"`}, []string{`"url.path":"a\\x"`}},
		{`three backslashes`, `s: {url.path: 'a\\\b'}` + "\ncondition: s", []string{`"url.path":"a\\\\b"`}, nil},
		{`four backslashes`, `s: {url.path: 'a\\\\b'}` + "\ncondition: s", []string{`"url.path":"a\\\\b"`}, nil},
		{`escape with contains`, `s: {url.query|contains: '\?x'}` + "\ncondition: s", []string{`"url.query":"a?x=1"`}, []string{`"url.query":"ayx=1"`}},

		// Sections Lists and Maps
		{"list of values is or", "s:\n  http.request.method: [GET, HEAD]\ncondition: s",
			[]string{`"http.request.method":"GET"`, `"http.request.method":"head"`}, []string{`"http.request.method":"POST"`}},
		{"long list of values", "s:\n  user.name: [a, B, c, d*, '', null, 7]\ncondition: s",
			[]string{`"user.name":"b"`, `"user.name":"dora"`, `"user.name":"7"`, ``}, []string{`"user.name":"e"`}},
		{"map is and", "s: {http.request.method: GET, user.name: bob}\ncondition: s",
			[]string{`"http.request.method":"GET","user.name":"bob"`}, []string{`"http.request.method":"GET"`, `"user.name":"bob"`}},
		{"list of maps is or", "s:\n- {http.request.method: GET, user.name: bob}\n- url.path: /x\ncondition: s",
			[]string{`"url.path":"/x"`, `"http.request.method":"GET","user.name":"bob"`}, []string{`"user.name":"bob"`}},
		{"numbers by value", "s: {destination.port: 443}\ncondition: s", []string{`"destination.port":443`}, []string{`"destination.port":44`, ``}},
		{"numbers as text", "s: {destination.port: '443'}\ncondition: s", []string{`"destination.port":443`}, nil},
		{"numbers with wildcards", "s: {http.response.status_code: '4*'}\ncondition: s", []string{`"http.response.status_code":404`}, []string{`"http.response.status_code":200`}},
		{"list of numbers", "s: {destination.port: [1, 2, 3, 4, 99]}\ncondition: s", []string{`"destination.port":99`}, []string{`"destination.port":5`, ``}},
		{"zero is not absent", "s: {source.bytes: 0}\ncondition: s", []string{`"source.bytes":0`}, []string{``, `"source.bytes":1`}},
		{"addresses by value", "s: {source.ip: '2001:DB8:0::1'}\ncondition: s", []string{`"source.ip":"2001:db8::1"`}, []string{`"source.ip":"2001:db8::2"`, ``}},
		{"addresses with wildcards", "s: {source.ip: 10.0.*}\ncondition: s", []string{`"source.ip":"10.0.3.4"`}, []string{`"source.ip":"10.1.0.1"`, ``}},

		// Section Special Field Values
		{"null is absent", "s: {user.name: null}\ncondition: s", []string{``}, []string{`"user.name":"x"`}},
		{"null of a number", "s: {source.bytes: null}\ncondition: s", []string{``}, []string{`"source.bytes":0`}},
		{"not null", "s: {url.path: /}\nf: {user.name: null}\ncondition: s and not f", []string{`"url.path":"/","user.name":"x"`}, []string{`"url.path":"/"`}},
		{"empty is absent, too", "s: {user_agent.original: ''}\ncondition: s", []string{``}, []string{`"user_agent.original":"x"`}},
		{"exists", "s: {user.name|exists: true}\ncondition: s", []string{`"user.name":"x"`}, []string{``}},
		{"exists, in the words of YAML 1.1", "s: {user.name|exists: yes}\ncondition: s", []string{`"user.name":"x"`}, []string{``}},
		{"exists not", "s: {source.ip|exists: false}\ncondition: s", []string{``}, []string{`"source.ip":"10.0.0.1"`}},

		// Section Keywords search
		{"keywords are or", "k: [event::clear, 'drop table']\ncondition: k", []string{`"url.path":"/xEvent::Clear"`, `"user.name":"DROP TABLE x"`}, []string{`"url.path":"/drop"`}},
		{"keywords with all", "k: {'|all': [alpha, beta]}\ncondition: k", []string{`"url.path":"/alpha","user.name":"beta"`}, []string{`"url.path":"/alpha"`}},
		{"one keyword", "k: gamma\ncondition: k", []string{`"url.query":"x=gamma"`}, []string{`"url.query":"x"`}},
		{"keyword with wildcards", "k: ['al*ha']\ncondition: k", []string{`"url.path":"/xalphay"`}, []string{`"url.path":"/al"`}},
		{"keyword across path and query", "k: ['x.php?a=1']\ncondition: k", []string{`"url.path":"/x.php","url.query":"a=12"`}, []string{`"url.path":"/x.php"`}},
		{"keyword by expression", "k: {'|re': ['^al.*a$']}\ncondition: k", []string{`"user.name":"alpha"`}, []string{`"user.name":"alphab"`}},

		// Modifiers appendix
		{"contains", "s: {url.path|contains: Adm}\ncondition: s", []string{`"url.path":"/x/admin"`}, []string{`"url.path":"/a/dm"`}},
		{"contains, empty", "s: {url.path|contains: ''}\ncondition: s", []string{`"url.path":"/"`}, []string{``}},
		{"startswith", "s: {url.path|startswith: /Adm}\ncondition: s", []string{`"url.path":"/admin"`}, []string{`"url.path":"/x/admin"`}},
		{"endswith", "s: {url.path|endswith: .EXE}\ncondition: s", []string{`"url.path":"/a.exe"`}, []string{`"url.path":"/a.exe.txt"`}},
		{"startswith with wildcards", "s: {url.path|startswith: '/*/x'}\ncondition: s", []string{`"url.path":"/a/b/xyz"`}, []string{`"url.path":"/a/y"`}},
		{"all", "s: {url.query|contains|all: [union, select]}\ncondition: s", []string{`"url.query":"SELECT union"`}, []string{`"url.query":"union"`}},
		{"cased", "s: {user.name|cased: Bob}\ncondition: s", []string{`"user.name":"Bob"`}, []string{`"user.name":"bob"`}},
		{"contains and cased", "s: {user.name|contains|cased: oB}\ncondition: s", []string{`"user.name":"boBby"`}, []string{`"user.name":"bobby"`}},
		{"neq", "s: {http.request.method|neq: GET}\ncondition: s", []string{`"http.request.method":"POST"`}, []string{`"http.request.method":"get"`, ``}},
		{"neq of a list is none of it", "s: {destination.port|neq: [80, 443]}\ncondition: s", []string{`"destination.port":22`}, []string{`"destination.port":443`, ``}},
		{"neq with contains", "s: {url.path|contains|neq: adm}\ncondition: s", []string{`"url.path":"/x"`}, []string{`"url.path":"/admin"`, ``}},
		{"re", "s: {url.path|re: '^/[a-z]{3}\\d+$'}\ncondition: s", []string{`"url.path":"/abc12"`}, []string{`"url.path":"/ABC12"`, `"url.path":"/abc"`}},
		{"re is found anywhere", "s: {url.path|re: 'b+c'}\ncondition: s", []string{`"url.path":"/abbcd"`}, []string{`"url.path":"/ac"`}},
		{"re with i", "s: {url.path|re|i: '^/(admin|root)$'}\ncondition: s", []string{`"url.path":"/ADMIN"`}, []string{`"url.path":"/administrator"`}},
		{"re with m", "s: {user_agent.original|re|m: '^b$'}\ncondition: s", []string{`"user_agent.original":"a\nb\nc"`}, []string{`"user_agent.original":"abc"`}},
		{"re with s", "s: {user_agent.original|re|s: 'a.b'}\ncondition: s", []string{`"user_agent.original":"a\nb"`}, []string{`"user_agent.original":"ab"`}},
		{"re of a number", "s: {destination.port|re: '^80..$'}\ncondition: s", []string{`"destination.port":8080`}, []string{`"destination.port":80`}},
		{"cidr", "s: {source.ip|cidr: [10.0.0.0/8, 'fe80::/10']}\ncondition: s", []string{`"source.ip":"10.9.9.9"`, `"source.ip":"fe80::1"`}, []string{`"source.ip":"11.0.0.1"`, `"source.ip":"::1"`, ``}},
		{"cidr of all addresses", "s: {source.ip|cidr: 0.0.0.0/0}\ncondition: s", []string{`"source.ip":"1.2.3.4"`}, []string{`"source.ip":"::1"`, ``}},
		{"cidr not on the boundary", "s: {source.ip|cidr: 192.168.1.77/24}\ncondition: s", []string{`"source.ip":"192.168.1.1"`}, []string{`"source.ip":"192.168.2.1"`}},
		{"gt", "s: {source.bytes|gt: 10}\ncondition: s", []string{`"source.bytes":11`}, []string{`"source.bytes":10`, ``}},
		{"gte", "s: {source.bytes|gte: 10}\ncondition: s", []string{`"source.bytes":10`}, []string{`"source.bytes":9`, ``}},
		{"lt", "s: {source.bytes|lt: 10}\ncondition: s", []string{`"source.bytes":9`, `"source.bytes":0`}, []string{`"source.bytes":10`, ``}},
		{"lte", "s: {source.bytes|lte: 10}\ncondition: s", []string{`"source.bytes":10`}, []string{`"source.bytes":11`, ``}},
		{"gt of a fraction", "s: {source.bytes|gt: 10.5}\ncondition: s", []string{`"source.bytes":11`}, []string{`"source.bytes":10`}},
		{"lte of a fraction", "s: {source.bytes|lte: 10.5}\ncondition: s", []string{`"source.bytes":10`}, []string{`"source.bytes":11`}},
		{"gte beyond 2^53", "s: {source.bytes|gte: 9007199254740993}\ncondition: s", []string{`"source.bytes":9007199254740993`}, []string{`"source.bytes":9007199254740992`}},
		{"fieldref", "s: {url.domain|fieldref: user.name}\ncondition: s", []string{`"url.domain":"bob","user.name":"BOB"`}, []string{`"url.domain":"bob","user.name":"eve"`, ``}},
		{"fieldref with neq", "s: {source.ip|fieldref|neq: destination.ip}\ncondition: s", []string{`"source.ip":"10.0.0.1","destination.ip":"10.0.0.2"`}, []string{`"source.ip":"10.0.0.1","destination.ip":"10.0.0.1"`, `"source.ip":"10.0.0.1"`}},
		{"fieldref with endswith", "s: {url.domain|fieldref|endswith: user.name}\ncondition: s", []string{`"url.domain":"x.example.org","user.name":"example.org"`}, []string{`"url.domain":"x","user.name":"y"`}},
		{"expand with cidr", "s: {source.ip|cidr|expand: '%home_net%'}\ncondition: s", []string{`"source.ip":"192.168.3.4"`, `"source.ip":"172.31.0.1"`, `"source.ip":"fd00::1"`}, []string{`"source.ip":"172.32.0.1"`, `"source.ip":"8.8.8.8"`}},
		{"expand before cidr", "s: {source.ip|expand|cidr: '%home_net%'}\ncondition: s", []string{`"source.ip":"10.1.1.1"`}, []string{`"source.ip":"9.1.1.1"`}},
		{"expand in text", "s: {user.name|expand: 'adm_%who%'}\ncondition: s", []string{`"user.name":"adm_ann"`, `"user.name":"ADM_bob"`}, []string{`"user.name":"adm_%who%"`}},
		{"expand with a plain percent sign", `s: {user.name|expand: '\%plain%who%'}` + "\ncondition: s", []string{`"user.name":"%plainann"`}, nil},
		{"percent signs without expand", "s: {user.name: '%who%'}\ncondition: s", []string{`"user.name":"%who%"`}, []string{`"user.name":"ann"`}},
		{"minute", "s: {'@timestamp|minute': 34}\ncondition: s", []string{``}, nil},
		{"hour, list", "s: {'@timestamp|hour': [3, 12]}\ncondition: s", []string{``}, nil},
		{"hour, compared", "s: {'@timestamp|hour|gte': 13}\ncondition: s", nil, []string{``}},
		{"day", "s: {'@timestamp|day': 1}\ncondition: s", []string{``}, nil},
		{"week", "s: {'@timestamp|week': 9}\ncondition: s", []string{``}, nil},
		{"month, neq", "s: {'@timestamp|month|neq': 3}\ncondition: s", nil, []string{``}},
		{"year", "s: {'@timestamp|year': 2026}\ncondition: s", []string{``}, nil},

		// Section Condition. a, b, c are true where the user's name has the letter.
		{"and", letters("a and b"), users("ab"), users("a", "b")},
		{"or", letters("a or b"), users("a", "b"), users("c")},
		{"not", letters("a and not b"), users("a"), users("ab", "b")},
		{"not not", letters("not not a"), users("a"), users("b")},
		{"and before or", letters("a or b and c"), users("a", "bc"), users("b", "c")},
		{"not before and", letters("not a and b"), users("b"), users("ab", "c")},
		{"brackets", letters("(a or b) and c"), users("ac", "bc"), users("ab", "a", "c")},
		{"brackets and not", letters("not (a or b)"), users("c"), users("a", "b")},
		{"keywords in capitals", letters("a AND NOT b OR c"), users("a", "c"), users("b")},
		{"1 of them", letters("1 of them"), users("a", "b", "c"), users("x")},
		{"any of them", letters("any of them"), users("a"), users("x")},
		{"all of them", letters("all of them"), users("abc"), users("ab")},
		{"them without _", letters("1 of them"), nil, users("h")},
		{"1 of a pattern", letters("1 of sel*"), users("d", "e"), users("a")},
		{"all of a pattern", letters("all of sel_*"), users("de"), users("d", "e")},
		{"* within a pattern", letters("1 of s*_e"), users("e"), users("d")},
		{"pattern and not pattern", letters("1 of sel* and not 1 of a*"), users("d"), users("da")},
		{"_ by its own pattern", letters("1 of _h*"), users("h"), users("a")},
		{"_ by name", letters("a and _hidden"), users("ah"), users("a")},
		{"all of before and", letters("all of sel* and a or b"), users("dea", "b"), users("de")},
		{"list of conditions is or", "a: {user.name: a}\nb: {user.name: b}\ncondition: [a, b]", users("a", "b"), users("c")},

		// Taxonomy appendix, aliases and derived fields
		{"c-uri is path and query", "s: {c-uri: '/a?b=c'}\ncondition: s", []string{`"url.path":"/a","url.query":"b=c"`}, []string{`"url.path":"/a"`}},
		{"c-uri with the domain", "s: {c-uri|contains: '://evil.example/a'}\ncondition: s", []string{`"url.domain":"evil.example","url.path":"/ab"`}, []string{`"url.path":"/ab"`}},
		{"cs-uri-query with the path", "s: {cs-uri-query|contains: '/a?b'}\ncondition: s", []string{`"url.path":"/x/a","url.query":"b=c"`}, nil},
		{"cs-uri-query alone", "s: {cs-uri-query|startswith: 'b='}\ncondition: s", []string{`"url.path":"/x/a","url.query":"b=c"`}, nil},
		{"c-uri-extension", "s: {c-uri-extension: [exe, dll]}\ncondition: s", []string{`"url.path":"/a.b/x.EXE"`}, []string{`"url.path":"/a.exe/x"`, `"url.path":"/exe"`}},
		{"proxy names", "s: {c-useragent: x, cs-host: h, cs-method: GET, sc-status: 200, src_ip: 10.0.0.1, dst_port: 80}\ncondition: s",
			[]string{`"user_agent.original":"x","url.domain":"h","http.request.method":"GET","http.response.status_code":200,"source.ip":"10.0.0.1","destination.port":80`}, nil},
		{"Zeek's seconds", "s: {duration|gte: 1.5}\ncondition: s", []string{`"event.duration":1500000000`}, []string{`"event.duration":1499999999`}},
		{"Zeek's seconds, equal", "s: {duration: 0.5}\ncondition: s", []string{`"event.duration":500000000`}, []string{`"event.duration":0`, ``}},
		{"no extension", "s: {c-uri-extension: null}\ncondition: s", []string{`"url.path":"/a.b/x"`, ``}, []string{`"url.path":"/x.exe"`}},
		{"network.type", "s: {network.type: IPv6}\ncondition: s", []string{`"source.ip":"fe80::1"`}, []string{`"source.ip":"10.0.0.1"`, ``}},
		{"Zeek's names", "s: {id.orig_h: 10.0.0.1, id.resp_p: 443, proto: tcp, service: ssl, conn_state: SF}\ncondition: s",
			[]string{`"source.ip":"10.0.0.1","destination.port":443,"network.transport":"tcp","network.protocol":"ssl","zeek.connection.state":"SF"`}, nil},

		// Fields that no event holds: a rule matches what it surely matches.
		{"alternative without its field", "s1: {cs-cookie: x}\ns2: {url.path: /x}\ncondition: 1 of s*", []string{`"url.path":"/x"`}, []string{`"url.path":"/y"`}},
		{"exclusion without one of its fields", "s: {url.path: /x}\nf: {cs-cookie: x, user.name: bob}\ncondition: s and not f",
			[]string{`"url.path":"/x","user.name":"eve"`}, []string{`"url.path":"/x","user.name":"bob"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			rules, err := Parse("test.yml", []byte(ruleOf(test.detection)), Placeholder("Who", "ann", "bob"))
			if err != nil {
				t.Fatal(err)
			}
			rule := rules.Rules[0]
			for _, members := range test.yes {
				if !rule.Matches(eventOf(t, members)) {
					t.Errorf("does not match %s", members)
				}
			}
			for _, members := range test.no {
				if rule.Matches(eventOf(t, members)) {
					t.Errorf("matches %s", members)
				}
			}
		})
	}
}

// letters is a detection with selections that look for one letter each.
func letters(condition string) string {
	var b strings.Builder
	for _, s := range []struct{ name, letter string }{{"a", "a"}, {"b", "b"}, {"c", "c"}, {"sel_d", "d"}, {"sel_e", "e"}, {"_hidden", "h"}} {
		if strings.HasPrefix(condition, "all of them") && len(s.name) > 1 {
			continue
		}
		b.WriteString(s.name + ": {user.name|contains: " + s.letter + "}\n")
	}
	return b.String() + "condition: " + condition
}

func users(names ...string) []string {
	var all []string
	for _, n := range names {
		all = append(all, `"user.name":"`+n+`"`)
	}
	return all
}

// TestRefusals has a row for each kind of thing that is refused: at which line
// and for which reason.
func TestRefusals(t *testing.T) {
	rule := func(detection string) string { return ruleOf(detection) }
	correlation := func(section string) string {
		return "title: F\nid: f\nlogsource: {category: web}\ndetection: {s: {user.name: x}, condition: s}\n---\ntitle: C\ncorrelation: " + section + "\n"
	}
	for _, test := range []struct {
		name, text string
		line       int
		reason     string
	}{
		{"not YAML", "title: [", 1, "not YAML"},
		{"no map", "- title", 1, "want a map"},
		{"no title", "id: x", 1, "needs a title"},
		{"nothing to do", "title: T", 1, "want one of the sections"},
		{"twice a key", "title: T\ntitle: U", 2, `key "title" comes twice`},
		{"alias", "title: &a T\ndescription: *a", 2, "aliases"},
		{"version 1 collection", "title: T\naction: global", 2, "Sigma version 1"},
		{"level", "title: T\nlevel: severe", 2, "use informational, low, medium, high, critical"},
		{"status", "title: T\nstatus: unsupported", 2, "cannot be used"},
		{"unknown status", "title: T\nstatus: new", 2, "use stable"},
		{"taxonomy", "title: T\ntaxonomy: ecs", 2, "use sigma"},
		{"no log source", "title: T\ndetection: {s: {user.name: x}, condition: s}", 1, "needs a logsource"},
		{"log source without events", "title: T\nlogsource:\n  product: windows\n  service: security\ndetection: {s: {user.name: x}, condition: s}", 3, "no events come from"},
		{"no condition", rule("s: {user.name: x}"), 4, "a condition is missing"},
		{"unknown selection", rule("s: {user.name: x}\ncondition: s and t"), 5, `character 7, at "t": want one of the selections s`},
		{"bracket left open", rule("s: {user.name: x}\ncondition: (s"), 5, "want )"},
		{"bracket too many", rule("s: {user.name: x}\ncondition: s)"), 5, "want and, or or the end"},
		{"pattern of nothing", rule("s: {user.name: x}\ncondition: 1 of t*"), 5, "pattern of the selections"},
		{"2 of", rule("s: {user.name: x}\ncondition: 2 of s*"), 5, "want 1, any or all"},
		{"aggregation", rule("s: {user.name: x}\ncondition: s | count() > 5"), 5, "write a correlation rule"},
		{"timeframe", rule("s: {user.name: x}\ntimeframe: 5m\ncondition: s"), 5, "write a correlation rule"},
		{"deep condition", rule("s: {user.name: x}\ncondition: " + strings.Repeat("(", 100) + "s" + strings.Repeat(")", 100)), 5, "nested deeper"},
		{"endless condition", rule("s: {user.name: x}\nt: {user.name: y}\ncondition: [" + strings.Repeat(strings.Repeat("1 of them or ", 1000)+"s, ", 60) + "s]"), 6, "too large"},
		{"too many values of placeholders", rule("s: {user.name|expand: '" + strings.Repeat("%home_net%", 6) + "'}\ncondition: s"), 4, "more than 100000 values"},
		{"missing field", rule("s: {proces.name: x}\ncondition: s"), 4, `no field "proces.name"`},
		{"exclusion by a missing field", rule("s: {user.name: x}\nf:\n  cs-cookie: y\ncondition: s and not f"), 6, `no field "cs-cookie"`},
		{"never", rule("s: {destination.port: http}\ncondition: s"), 5, "can never match"},
		{"unknown modifier", rule("s:\n  user.name|like: x\ncondition: s"), 5, `modifier "like" is not known`},
		{"windash", rule("s: {user.name|windash: x}\ncondition: s"), 4, "made for the dashes"},
		{"base64offset", rule("s: {user.name|base64offset|contains: x}\ncondition: s"), 4, "made for encoded commands"},
		{"contains and endswith", rule("s: {user.name|contains|endswith: x}\ncondition: s"), 4, "cannot be combined"},
		{"re and cased", rule("s: {user.name|re|cased: x}\ncondition: s"), 4, "cannot be combined"},
		{"i without re", rule("s: {user.name|i: x}\ncondition: s"), 4, "belongs after re"},
		{"lookahead", rule("s: {user.name|re: 'a(?!b)'}\ncondition: s"), 4, "lookaround"},
		{"lookbehind", rule("s: {user.name|re: '(?<=b)a'}\ncondition: s"), 4, "lookaround"},
		{"backreference", rule(`s: {user.name|re: '(a)\1'}` + "\ncondition: s"), 4, "backreference"},
		{"bad expression", rule("s: {user.name|re: 'a(b'}\ncondition: s"), 4, "missing closing )"},
		{"bad range of addresses", rule("s: {source.ip|cidr: 10.0.0.0/33}\ncondition: s"), 4, "not a range of addresses"},
		{"cidr of text", rule("s: {user.name|cidr: 10.0.0.0/8}\ncondition: s"), 4, "is for addresses"},
		{"gt of text", rule("s: {user.name|gt: 5}\ncondition: s"), 4, "compares numbers"},
		{"gt of no number", rule("s: {source.bytes|gt: many}\ncondition: s"), 4, "want a number"},
		{"hour of no time", rule("s: {source.bytes|hour: 5}\ncondition: s"), 4, "use @timestamp"},
		{"placeholder", rule("s: {user.name|expand: '%Servers%'}\ncondition: s"), 4, "placeholder %Servers% has no values"},
		{"exists of no boolean", rule("s: {user.name|exists: x}\ncondition: s"), 4, "true or false"},
		{"map as value", rule("s: {user.name: {a: b}}\ncondition: s"), 4, "want a text"},
		{"empty list", rule("s: {user.name: []}\ncondition: s"), 4, "empty list"},
		{"empty selection", rule("s: {}\ncondition: s"), 4, "no fields"},
		{"neq and all", rule("s: {user.name|neq|all: [x, y]}\ncondition: s"), 4, "none of the values"},

		{"correlation type", correlation("{type: event, rules: [f], timespan: 1m, condition: {gte: 1}}"), 7, "is not supported: use event_count"},
		{"unknown rule", correlation("{type: event_count, rules: [g], timespan: 1m, condition: {gte: 1}}"), 7, `no rule has the id or name "g"`},
		{"circle", correlation("{type: event_count, rules: [C], timespan: 1m, condition: {gte: 1}}"), 7, "circle"},
		{"timespan", correlation("{type: event_count, rules: [f], timespan: 1M, condition: {gte: 1}}"), 7, "timespan"},
		{"no condition of a count", correlation("{type: event_count, rules: [f], timespan: 1m}"), 7, "needs a condition"},
		{"three bounds", correlation("{type: event_count, rules: [f], timespan: 1m, condition: {gt: 1, lt: 5, neq: 3}}"), 7, "one comparison, or two"},
		{"value_count without field", correlation("{type: value_count, rules: [f], timespan: 1m, condition: {gte: 1}}"), 7, "needs a field"},
		{"event_count with field", correlation("{type: event_count, rules: [f], timespan: 1m, condition: {gte: 1, field: user.name}}"), 7, "has no field"},
		{"sum of text", correlation("{type: value_sum, rules: [f], timespan: 1m, condition: {gte: 1, field: user.name}}"), 7, "holds numbers"},
		{"words as condition", correlation("{type: temporal, rules: [f], timespan: 1m, condition: f and g}"), 7, "in words"},
		{"some of an order", correlation("{type: temporal_ordered, rules: [f], timespan: 1m, condition: {gte: 2}}"), 7, "all of its rules"},
		{"twice a rule", correlation("{type: temporal_ordered, rules: [f, f], timespan: 1m}"), 7, "comes twice"},
		{"group by a missing field", correlation("{type: event_count, rules: [f], group-by: [ComputerName], timespan: 1m, condition: {gte: 1}}"), 7, "no field"},
		{"unknown key", correlation("{type: event_count, rules: [f], window: 1m, condition: {gte: 1}}"), 7, `key "window" is not known`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse("test.yml", []byte(test.text))
			problems := Problems(err)
			if len(problems) != 1 {
				t.Fatalf("problems %v, want one", problems)
			}
			if p := problems[0]; p.Line != test.line || !strings.Contains(p.Reason, test.reason) {
				t.Errorf("%v; want line %d and %q", p, test.line, test.reason)
			}
		})
	}
}
