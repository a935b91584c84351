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
	c := NewClassifier(defaults.with(user))
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

// TestUnknownLogSource: who names none that is known is told all that are.
func TestUnknownLogSource(t *testing.T) {
	_, err := Parse("x.yml", []byte("title: T\nlogsource: {product: windows}\ndetection: {s: {source.port: 1}, condition: s}\n"))
	if err == nil {
		t.Fatal("accepted")
	}
	for l := range routes {
		if !strings.Contains(err.Error(), l.String()) {
			t.Errorf("%v does not name %s", err, l)
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
