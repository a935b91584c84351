package sigma

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soclab/pkg/event"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// parse loads rules that must all be right.
func parse(t testing.TB, text string) *RuleSet {
	t.Helper()
	rules, err := Parse("test.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// batchOf makes a batch of the events, at offsets from 1.
func batchOf(events ...*event.Event) *event.Batch {
	b := &event.Batch{Topic: "events.raw"}
	for i, e := range events {
		b.Records = append(b.Records, event.Record{Event: *e, Offset: int64(i + 1)})
	}
	return b
}

// web is a rule for web requests that matches a path.
func web(title, level, path string, more ...string) string {
	return fmt.Sprintf("title: %s\nlevel: %s\nlogsource: {category: web}\ndetection: {s: {url.path|contains: %s}, condition: s}\n%s\n---\n",
		title, level, path, strings.Join(more, "\n"))
}

func TestWinner(t *testing.T) {
	const count = "title: Count\nlevel: high\ncorrelation: {type: event_count, rules: [Any], group-by: [source.ip], timespan: 1h, condition: {gte: 1}}\n---\n"
	defaults := parse(t, web("Any", "low", "/")+web("Low", "low", "a")+web("High", "high", "b")+web("High too", "high", "c")+count)
	user := parse(t, web("Mine", "high", "m")+web("Mine, low", "low", "n"))
	c := NewClassifier(defaults.With(user))
	for _, test := range []struct{ path, matches string }{
		{"/a", "Count,Low"},             // the level
		{"/c/b", "Count,High,High too"}, // correlations, then the order of the set
		{"/m/b", "Mine,Count,High"},     // the user's own
		{"/n", "Count,Mine, low"},       // but the level first
	} {
		v := verdicts(c, batchOf(eventOf(t, `"source.ip":"10.0.0.1","url.path":"`+test.path+`"`)))[0]
		if got := strings.Join(v.Matches, ","); got != test.matches || v.RuleID != v.Matches[0] || v.Class != v.Matches[0] {
			t.Errorf("%s: %s (class %s), want %s", test.path, got, v.Class, test.matches)
		}
	}
}

func TestThreat(t *testing.T) {
	for _, test := range []struct{ tags, technique, tactic string }{
		{"attack.t1110.001, attack.t1046, attack.discovery, attack.credential-access", "T1110.001", "TA0006"},
		{"attack.persistence, attack.initial_access, attack.t1078", "T1078", "TA0003"},
		{"attack.t1046", "T1046", "TA0007"},
		{"attack.impact, attack.t1046", "T1046", "TA0007"},
		{"attack.lateral_movement", "", "TA0008"},
		{"cve.2021-44228, attack.g0016, attack.s0190", "", ""},
		{"attack.t9999, attack.t1046", "T1046", "TA0007"},
	} {
		rules := parse(t, web("T", "low", "/", "tags: ["+test.tags+"]"))
		technique, tactic := rules.Rules[0].threat()
		if technique.ID != test.technique || tactic.ID != test.tactic || (tactic.ID != "") != (tactic.Name != "") {
			t.Errorf("%s: %v, %v; want %s, %s", test.tags, technique, tactic, test.technique, test.tactic)
		}
		if wrong := strings.Contains(test.tags, "t9999"); wrong != (len(rules.Warnings) == 1) {
			t.Errorf("%s: warnings %v", test.tags, rules.Warnings)
		}
	}
}

// TestRoutes: a rule sees the events of its log source only.
func TestRoutes(t *testing.T) {
	kinds := map[string]string{
		"conn": `"event.dataset":"zeek.conn","event.category":"network"`,
		"flow": `"event.dataset":"suricata.flow","event.category":"network"`,
		"dns":  `"event.dataset":"zeek.dns","event.category":"network"`,
		"http": `"event.dataset":"zeek.http","event.category":"web"`,
		"auth": `"event.dataset":"system.auth","event.category":"authentication"`,
		"ssh":  `"event.dataset":"zeek.ssh","event.category":"authentication"`,
		"rdp":  `"event.dataset":"zeek.conn","event.category":"network","network.protocol":"rdp"`,
	}
	for source, want := range map[string]string{
		"category: firewall":                     "auth conn dns flow http rdp ssh",
		"category: network_connection":           "conn flow rdp",
		"category: network, service: connection": "conn flow rdp",
		"category: network":                      "conn dns flow rdp",
		"category: dns":                          "dns",
		"category: proxy":                        "http",
		"category: WebServer":                    "http",
		"category: authentication":               "auth ssh",
		"product: zeek":                          "conn dns http rdp ssh",
		"product: zeek, service: conn":           "conn rdp",
		"product: zeek, service: rdp":            "rdp",
		"product: zeek, service: ssh":            "ssh",
		"product: suricata, service: flow":       "flow",
		"product: linux, service: sshd":          "auth",
	} {
		rules := parse(t, "title: T\nlogsource: {"+source+"}\ndetection: {s: {event.id: '*'}, condition: s}")
		c := NewClassifier(rules)
		var got []string
		for kind, members := range kinds {
			e := eventOf(t, members)
			matches := rules.Rules[0].Matches(e)
			if (verdicts(c, batchOf(e))[0].RuleID != "") != matches {
				t.Errorf("%s, %s: the classifier and the rule disagree", source, kind)
			}
			if matches {
				got = append(got, kind)
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: sees %v, want %s", source, got, want)
		}
	}
}

// TestLanes: what decides whether a rule sees an event is not mixed up between
// events of one classifier, and kept for so many kinds of events only.
func TestLanes(t *testing.T) {
	var text strings.Builder
	for i, source := range []string{"category: network", "category: firewall", "category: authentication", "category: webserver", "category: dns", "product: zeek, service: conn", "product: zeek, service: rdp"} {
		fmt.Fprintf(&text, "title: T%d\nlogsource: {%s}\ndetection: {s: {event.id: '*'}, condition: s}\n---\n", i, source)
	}
	rules := parse(t, text.String())
	c := NewClassifier(rules)
	var records []event.Record
	for round := range 3000 {
		dataset := fmt.Sprint("of.an.attacker.", round)
		if round%2 == 0 {
			dataset = []string{"zeek.conn", "zeek.dns", "system.auth", ""}[round/2%4]
		}
		for _, category := range []string{"network", "authentication", "web", ""} {
			for _, protocol := range []string{"rdp", "dns", ""} {
				records = append(records, event.Record{Offset: int64(len(records)), Event: event.Event{Timestamp: noon, ID: "a", Dataset: dataset, Category: category, Protocol: protocol}})
			}
		}
	}
	for i, v := range verdicts(c, &event.Batch{Records: records}) {
		for _, r := range rules.Rules {
			if e := &records[i].Event; slices.Contains(v.Matches, r.ID) != r.Matches(e) {
				t.Fatalf("dataset %q, category %q, protocol %q: matches %v, but %s says %v", e.Dataset, e.Category, e.Protocol, v.Matches, r.ID, r.Matches(e))
			}
		}
	}
	if len(c.lanes) > 1000 {
		t.Errorf("%d lanes are kept", len(c.lanes))
	}
}

// TestManyVerdicts: they are right, and not all kept, where events match rules in
// ever other combinations.
func TestManyVerdicts(t *testing.T) {
	const n = 14
	var text strings.Builder
	for i := range n {
		text.WriteString(web(fmt.Sprint("R", i), "low", string(rune('a'+i))))
	}
	c := NewClassifier(parse(t, text.String()))
	for combination := range 1 << n {
		path, want := "", []string(nil)
		for i := range n {
			if combination>>i&1 != 0 {
				path, want = path+string(rune('a'+i)), append(want, fmt.Sprint("R", i))
			}
		}
		e := event.Event{Timestamp: noon, ID: "a", Category: "web", URL: event.URL{Path: path}}
		if got := verdicts(c, &event.Batch{Records: []event.Record{{Event: e, Offset: int64(combination)}}})[0].Matches; !slices.Equal(got, want) {
			t.Fatalf("%s matches %v, want %v", path, got, want)
		}
	}
	if len(c.verdicts) > 10_000 {
		t.Errorf("%d verdicts are kept", len(c.verdicts))
	}
}

// TestConditions: at which of five failures each condition holds.
func TestConditions(t *testing.T) {
	for condition, want := range map[string]string{
		"gt: 3": "45", "gte: 3": "345", "lt: 3": "12", "lte: 3": "123", "eq: 3": "3", "neq: 3": "1245",
		"gte: 2, lt: 4": "23", "gt: 1, lte: 3": "23", "gte: 2, neq: 3": "245", "gt: 4, lt: 2": "",
	} {
		c := NewClassifier(parse(t, strings.Replace(guessing, "gte: 2", condition, 1)))
		failure := login(t, "failure")
		got := ""
		for i, v := range verdicts(c, batchOf(failure, failure, failure, failure, failure)) {
			if v.RuleID != "" {
				got += fmt.Sprint(i + 1)
			}
		}
		if got != want {
			t.Errorf("{%s} holds at %q, want %q", condition, got, want)
		}
	}
}

// TestHistory: 200,000 records for each level of correlations, of which there
// are eight at most.
func TestHistory(t *testing.T) {
	text := guessing
	for level := int64(1); level <= 9; level++ {
		rules, err := Parse("test.yml", []byte(text))
		if level == 9 {
			if err == nil || !strings.Contains(err.Error(), "more than 8 deep") {
				t.Errorf("nine levels: error %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := NewClassifier(rules).History(); got != level*200_000 {
			t.Errorf("%d levels look back on %d records", level, got)
		}
		below := "Password Guessing"
		if level > 1 {
			below = fmt.Sprint("Level ", level)
		}
		text += fmt.Sprintf("---\ntitle: Level %d\ncorrelation: {type: event_count, rules: [%s], group-by: [source.ip], timespan: 5m, condition: {gte: 2}}\n", level+1, below)
	}
	if got := NewClassifier(parse(t, strings.Split(guessing, "---")[0])).History(); got != 0 {
		t.Errorf("plain rules look back on %d records", got)
	}
}

func TestTimespans(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1s": time.Second, "90s": 90 * time.Second, "5m": 5 * time.Minute, "36h": 36 * time.Hour, "2d": 48 * time.Hour,
		"3w": 21 * 24 * time.Hour, "366d": 366 * 24 * time.Hour,
		"0s": 0, "367d": 0, "53w": 0, "1y": 0, "1M": 0, "5": 0, "m": 0, "-1m": 0, "1.5h": 0, "99999999999s": 0,
	} {
		rules, err := Parse("test.yml", []byte(strings.Replace(guessing, "5m", text, 1)))
		if want == 0 {
			if err == nil || !strings.Contains(err.Error(), "timespan") {
				t.Errorf("%s: error %v", text, err)
			}
		} else if err != nil || rules.Rules[1].Correlation.Timespan != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestGroupsOfTwoFields: what one field ends with is not taken for what the
// next begins with.
func TestGroupsOfTwoFields(t *testing.T) {
	rules := parse(t, strings.Replace(guessing, "[source.ip]", "[user.name, event.action, source.ip]", 1))
	for _, test := range []struct {
		users, actions [2]string
		detected       bool
	}{
		{[2]string{"ab", "ab"}, [2]string{"c", "c"}, true},
		{[2]string{"ab", "a"}, [2]string{"c", "bc"}, false},
		{[2]string{"ab", "ab"}, [2]string{"c", "d"}, false},
		{[2]string{"ab", "ac"}, [2]string{"c", "c"}, false},
	} {
		var events []*event.Event
		for i := range test.users {
			e := login(t, "failure")
			e.User, e.Action = test.users[i], test.actions[i]
			events = append(events, e)
		}
		if got := verdicts(NewClassifier(rules), batchOf(events...))[1].RuleID != ""; got != test.detected {
			t.Errorf("%v: detected %v", test, got)
		}
	}
}

// TestForgetsAPastThatIsNotContinued: what a partition remembers is what was
// read before, without a break.
func TestForgetsAPastThatIsNotContinued(t *testing.T) {
	at := func(b *event.Batch, topic string, first int64, replay bool) *event.Batch {
		b.Topic, b.Replay = topic, replay
		for i := range b.Records {
			b.Records[i].Offset = first + int64(i)
		}
		return b
	}
	failure := func() *event.Batch { return batchOf(login(t, "failure")) }
	for _, test := range []struct {
		name     string
		batches  []*event.Batch
		detected bool
	}{
		{"continued", []*event.Batch{at(failure(), "a", 1, false), at(failure(), "a", 2, false)}, true},
		{"with a gap", []*event.Batch{at(failure(), "a", 1, false), at(failure(), "a", 9, false)}, true},
		{"read again", []*event.Batch{at(failure(), "a", 1, true), at(failure(), "a", 2, true), at(failure(), "a", 3, false)}, true},
		{"another topic", []*event.Batch{at(failure(), "a", 1, false), at(failure(), "b", 2, false)}, false},
		{"begun anew", []*event.Batch{at(failure(), "a", 5, false), at(failure(), "a", 5, false)}, false},
		{"begun anew in a batch", []*event.Batch{at(batchOf(login(t, "success"), login(t, "failure")), "a", 4, false), at(failure(), "a", 5, false)}, false},
		{"begun anew by reading again", []*event.Batch{at(failure(), "a", 5, false), at(batchOf(login(t, "success")), "a", 4, true), at(failure(), "a", 6, false)}, false},
		{"read again after a gap", []*event.Batch{at(failure(), "a", 1, false), at(batchOf(login(t, "success")), "a", 9, true), at(failure(), "a", 10, false)}, false},
	} {
		c := NewClassifier(parse(t, guessing))
		var last []*event.Verdict
		for _, b := range test.batches {
			last = verdicts(c, b)
		}
		if got := last[0].RuleID != ""; got != test.detected {
			t.Errorf("%s: detected %v, want %v", test.name, got, test.detected)
		}
	}
}

const guessing = `
title: Failed Login
name: failed_login
logsource: {category: authentication}
detection:
  failure: {event.outcome: failure}
  condition: failure
---
title: Password Guessing
level: high
tags: [attack.credential-access, attack.t1110.001]
correlation:
  type: event_count
  rules: [failed_login]
  group-by: [source.ip]
  timespan: 5m
  condition: {gte: 2}
`

func login(t testing.TB, outcome string) *event.Event {
	return eventOf(t, `"event.category":"authentication","event.dataset":"system.auth","source.ip":"10.0.0.1","user.name":"Bob","event.outcome":"`+outcome+`"`)
}

// TestGenerate: what a correlation refers to counts for it alone, unless it
// says otherwise.
func TestGenerate(t *testing.T) {
	events := batchOf(login(t, "failure"), login(t, "failure"), login(t, "success"))
	for text, want := range map[string]string{
		guessing:                          "[benign  Password Guessing Password Guessing benign ]",
		guessing + "  generate: true":     "[Failed Login failed_login Password Guessing Password Guessing,failed_login benign ]",
		guessing + "generate: true":       "[Failed Login failed_login Password Guessing Password Guessing,failed_login benign ]",
		strings.Split(guessing, "---")[0]: "[Failed Login failed_login Failed Login failed_login benign ]",
	} {
		if got := fmt.Sprint(classify(NewClassifier(parse(t, text)), events)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestReferences: a rule counts by itself where one of several correlations says
// so; a correlation may refer to so many rules.
func TestReferences(t *testing.T) {
	const other = "---\ntitle: Other\ncorrelation: {type: event_count, rules: [failed_login], group-by: [source.ip], timespan: 5m, condition: {gte: 9}, generate: true}\n"
	for _, text := range []string{guessing + other, strings.Replace(guessing, "---", other+"---", 1)} {
		if got := verdicts(NewClassifier(parse(t, text)), batchOf(login(t, "failure")))[0].Class; got != "Failed Login" {
			t.Errorf("%s: class %s", text, got)
		}
	}
	if _, err := Parse("test.yml", []byte(strings.Replace(guessing, "[failed_login]", "["+strings.Repeat("a,", 65)+"]", 1))); err == nil || !strings.Contains(err.Error(), "64 at most") {
		t.Errorf("65 rules: error %v", err)
	}
}

func TestVerdictsAreShared(t *testing.T) {
	c := NewClassifier(parse(t, guessing))
	events := batchOf(login(t, "failure"), login(t, "failure"), login(t, "failure"), login(t, "success"))
	v := verdicts(c, events)
	if v[0] != v[3] || v[1] != v[2] || v[0] == v[1] {
		t.Error("equal verdicts are not one")
	}
	want := event.Verdict{Class: "Password Guessing", RuleID: "Password Guessing", RuleLevel: "high", Matches: []string{"Password Guessing"},
		Tactic: event.Threat{ID: "TA0006", Name: "Credential Access"}, Technique: event.Threat{ID: "T1110.001", Name: "Password Guessing"}}
	if got := *v[1]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("verdict %+v, want %+v", got, want)
	}
	events.Replay = true
	if verdicts(c, events) != nil {
		t.Error("a replayed batch has verdicts")
	}
}

func TestNoAllocations(t *testing.T) {
	rules, err := DefaultRules()
	if err != nil {
		t.Fatal(err)
	}
	c := NewClassifier(rules)
	var calm []event.Record // events that no rule matches, not even one that a correlation counts
	plain := new(RuleSet)
	for _, r := range rules.Rules {
		if r.Correlation == nil {
			plain.Rules = append(plain.Rules, r)
		}
	}
	records := generated(t, 4, 2000)
	for i, v := range verdicts(NewClassifier(plain), &event.Batch{Records: records}) {
		if v.RuleID == "" {
			calm = append(calm, records[i])
		}
	}
	batch := &event.Batch{Records: calm}
	if n := testing.AllocsPerRun(10, func() {
		c.Classify(context.Background(), batch)
		for i := range calm {
			calm[i].Offset += 10_000
		}
	}); n > float64(len(calm))/4 || len(calm) < 200 { // the race detector makes regexp's pools leak some
		t.Errorf("%v allocations for %d events without a match", n, len(calm))
	}
}

func TestSpans(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	ctx, consume := provider.Tracer("test").Start(context.Background(), "kafka.consume")
	batch := batchOf(login(t, "failure"), login(t, "failure"), login(t, "failure"), login(t, "success"))
	batch.Sampled = []event.Sampled{{Index: 1, Context: ctx}, {Index: 3, Context: ctx}}
	NewClassifier(parse(t, guessing)).Classify(context.Background(), batch)
	spans := recorder.Ended()
	if len(spans) != 2 {
		t.Fatalf("%d spans, want 2", len(spans))
	}
	for i, want := range []string{
		"class=Password Guessing rule.id=Password Guessing rule.level=high rule.matches=Password Guessing " +
			"threat.tactic.id=TA0006 threat.tactic.name=Credential Access threat.technique.id=T1110.001 threat.technique.name=Password Guessing",
		"class=benign",
	} {
		var got []string
		for _, a := range spans[i].Attributes() {
			got = append(got, string(a.Key)+"="+a.Value.AsString())
		}
		if spans[i].Name() != "classification" || spans[i].Parent().SpanID() != consume.SpanContext().SpanID() || strings.Join(got, " ") != want {
			t.Errorf("span %s with %s, want classification with %s", spans[i].Name(), strings.Join(got, " "), want)
		}
	}
}

func TestTrial(t *testing.T) {
	rules := parse(t, guessing)
	trial := NewTrial(rules.Rules[1])
	for i, outcome := range []string{"failure", "success", "failure"} {
		e := login(t, outcome)
		e.ID = fmt.Sprint(i)
		why, ok := trial.Event(*e)
		if ok != (i == 2) {
			t.Fatalf("event %d: %v", i, ok)
		}
		if !ok {
			continue
		}
		var window []string
		for _, e := range why.Window {
			window = append(window, e.ID)
		}
		if fmt.Sprint(window, why.Reasons) != "[0 2] [{failure event.outcome failure}]" {
			t.Errorf("explained by %v, %v", window, why.Reasons)
		}
		if alone := rules.Rules[1].Explain(e); alone != nil {
			t.Errorf("one event explains a correlation by %v", alone)
		}
	}
}

func ExampleRule_Explain() {
	rules, err := Parse("cell.yml", []byte(`
title: Command in a Query
logsource:
  category: webserver
detection:
  script:
    cs-uri-stem|endswith: .php
  command:
    cs-uri-query|contains: [cmd=, exec=]
  inside:
    c-ip|cidr|expand: '%home_net%'
  condition: script and command and not inside
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	request := event.Event{Category: "web", URL: event.URL{Path: "/img/x.php", Query: "CMD=id"}}
	for _, why := range rules.Rules[0].Explain(&request) {
		fmt.Printf("%s: %s: %s\n", why.Selection, why.Field, why.Value)
	}
	// Output:
	// script: cs-uri-stem|endswith: /img/x.php
	// command: cs-uri-query|contains: CMD=id
}

// verdicts classifies a batch and returns its verdicts, none where it got none.
func verdicts(c *Classifier, batch *event.Batch) (all []*event.Verdict) {
	c.Classify(context.Background(), batch)
	for _, r := range batch.Records {
		if r.Verdict != nil {
			all = append(all, r.Verdict)
		}
	}
	return all
}
