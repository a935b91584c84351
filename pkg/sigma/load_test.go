package sigma

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"soclab/pkg/event"
)

func folder(files map[string]string) fstest.MapFS {
	f := make(fstest.MapFS)
	for name, text := range files {
		f[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return f
}

func titles(rules []*Rule) string {
	var all []string
	for _, r := range rules {
		all = append(all, r.Title)
	}
	return strings.Join(all, ", ")
}

// TestLoad: all files below a folder, in order; what is wrong is listed, and
// the rest is there.
func TestLoad(t *testing.T) {
	rules, err := load(folder(map[string]string{
		"b.yml":       web("B1", "low", "b") + "title: B2\nlevel: terrible\n---\n" + web("B3", "low", "b"),
		"a/deep.yaml": web("A", "low", "a"),
		"a/notes.txt": "not a rule",
		"c.yml":       "title: C\nid: A\nlogsource: {category: web}\ndetection: {s: {url.path: /}, condition: s}",
		"d.yml":       web("D", "low", "d") + "title: [",
		"empty.yml":   "---\n",
		"large.yml":   strings.Repeat("# much\n", maxFile/7+1),
		"leaf.yml":    "title: Leaf\ncorrelation: {type: event_count, rules: [B2], group-by: [source.ip], timespan: 1m, condition: {gte: 2}}\n",
	}))
	if got := titles(rules.Rules); got != "A, B1, B3, D" {
		t.Errorf("rules %s", got)
	}
	var got []string
	for _, p := range Problems(err) {
		got = append(got, p.Error())
	}
	want := []string{
		`b.yml:8: "B2": level "terrible" is not known: use informational, low, medium, high, critical`,
		`c.yml:1: "C": the rule at a/deep.yaml:1 has "A" already as its id or name`,
		`d.yml:7: not YAML: did not find expected node content`,
		`large.yml: the file is larger than 1048576 bytes`,
		`leaf.yml:2: "Leaf": no rule has the id or name "B2", or it was refused`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := Load("does-not-exist"); err == nil {
		t.Error("a folder that does not exist is loaded")
	}
}

func TestMetadata(t *testing.T) {
	rule := parse(t, `
title: Title
id: 8cc9bd1d-6e6c-4d52-8b7e-5d9ea5e8a3b1
name: short_name
status: test
description: What it is.
references: [https://example.org/1, https://example.org/2]
author: A. Nalyst
date: 2026-03-01
tags: [attack.discovery, attack.t1046]
logsource: {category: web, definition: any}
detection: {s: {url.path: /}, condition: s}
falsepositives: Some
level: medium
custom: {passed: over}
`).Rules[0]
	got := fmt.Sprint(rule.ID, rule.Name, rule.Title, rule.Status, rule.Description, rule.Level, rule.Author,
		rule.References, rule.Tags, rule.FalsePositives, rule.LogSource, rule.User, rule.File, rule.Line)
	want := "8cc9bd1d-6e6c-4d52-8b7e-5d9ea5e8a3b1short_nameTitletestWhat it is.mediumA. Nalyst" +
		"[https://example.org/1 https://example.org/2][attack.discovery attack.t1046][Some]category web false test.yml 2"
	if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("metadata %s\nwant     %s", got, want)
	}
}

// TestWith: a user's rules replace those of the same id, correlations refer to
// what is there, filters apply to all.
func TestWith(t *testing.T) {
	defaults := parse(t, web("One", "low", "one", "id: 1", "name: one")+web("Two", "low", "two", "id: 2")+
		"title: Count\nid: 3\ncorrelation: {type: event_count, rules: [one], group-by: [source.ip], timespan: 1h, condition: {gte: 1}, generate: true}\n")
	user, err := Parse("mine.yml", []byte(web("Uno", "low", "uno", "id: 1", "name: one")+web("Three", "low", "three")+`
title: Not from the scanner
logsource: {category: web}
filter:
  rules: any
  scanner: {source.ip: 10.0.0.9}
  condition: not scanner
`))
	if err != nil {
		t.Fatal(err)
	}
	joined := defaults.with(user)
	if got := titles(joined.Rules); got != "Uno, Two, Count, Three" || titles(defaults.Rules) != "One, Two, Count" {
		t.Errorf("joined %s; defaults then %s", got, titles(defaults.Rules))
	}
	if joined.Rules[1].User || !joined.Rules[0].User || !joined.Rules[3].User {
		t.Error("the user's rules are not marked as such")
	}
	c := NewClassifier(joined)
	for _, test := range []struct{ source, path, want string }{
		{"10.0.0.1", "/one", ""}, {"10.0.0.1", "/uno", "1,3"}, {"10.0.0.1", "/two", "2"},
		{"10.0.0.9", "/uno", ""}, {"10.0.0.9", "/two", ""}, {"10.0.0.9", "/three", ""},
	} {
		v := verdicts(c, batchOf(eventOf(t, `"source.ip":"`+test.source+`","url.path":"`+test.path+`"`)))[0]
		if got := strings.Join(v.Matches, ","); got != test.want {
			t.Errorf("%s from %s: %q, want %q", test.path, test.source, got, test.want)
		}
	}
}

// TestCircleOfSets: sets that are right apart may not be together.
func TestCircleOfSets(t *testing.T) {
	const count = "---\ntitle: %s\ncorrelation: {type: event_count, rules: [%s], group-by: [source.ip], timespan: 1h, condition: {gte: 1}}\n"
	defaults := parse(t, web("A", "low", "a")+fmt.Sprintf(count, "B", "A"))
	user := parse(t, web("B", "low", "b")+fmt.Sprintf(count, "A", "B"))
	joined := defaults.with(user)
	if joined = joined.with(parse(t, web("C", "low", "c"))); titles(joined.Rules) != "A, B, C" {
		t.Errorf("rules %s", titles(joined.Rules))
	}
	user.Rules = user.Rules[1:] // only the correlation A, which refers to B
	joined = defaults.with(user)
	if len(joined.Rules) != 0 || len(joined.Warnings) != 2 {
		t.Errorf("rules %s, warnings %v", titles(joined.Rules), joined.Warnings)
	}
	NewClassifier(joined)
}

// TestUserRulesReferToDefaultOnes: a user's set can be checked without them.
func TestUserRulesReferToDefaultOnes(t *testing.T) {
	defaults, err := DefaultRules()
	if err != nil {
		t.Fatal(err)
	}
	var base *Rule
	for _, r := range defaults.Rules {
		if r.Correlation == nil && r.Name != "" {
			base = r
		}
	}
	user := parse(t, "title: Mine\ncorrelation: {type: event_count, rules: ["+base.Name+"], group-by: [source.ip], timespan: 1h, condition: {gte: 1}}\n"+
		"---\ntitle: Filter\nlogsource: {"+yamlOf(base.LogSource)+"}\nfilter: {rules: ["+base.ID+"], s: {source.ip: 10.0.0.9}, condition: not s}\n")
	if got := titles(user.Rules); got != "Mine" {
		t.Errorf("rules %s", got)
	}
	joined := defaults.with(user)
	if n := len(joined.Warnings); n > 1 || n == 1 && !strings.Contains(joined.Warnings[0].Reason, "no longer counts by itself") {
		t.Errorf("warnings %v", joined.Warnings)
	}
	if mine := joined.Rules[len(joined.Rules)-1]; mine.Correlation.rules[0] == base {
		t.Error("the correlation refers to the rule without the filter")
	}
}

func yamlOf(l LogSource) string {
	return fmt.Sprintf("category: '%s', product: '%s', service: '%s'", l.Category, l.Product, l.Service)
}

// TestSilencedByUser: a default rule that a user's correlation takes for
// itself is lost to the verdicts, with a warning.
func TestSilencedByUser(t *testing.T) {
	defaults := parse(t, web("A", "low", "a"))
	const count = "title: Mine\ncorrelation: {type: event_count, rules: [A], group-by: [source.ip], timespan: 1h, condition: {gte: 1}, generate: %v}\n"
	for _, generate := range []bool{false, true} {
		user, err := Parse("mine.yml", []byte(web("A", "low", "a")+fmt.Sprintf(count, generate)))
		if err != nil {
			t.Fatal(err)
		}
		user.Rules = user.Rules[1:]
		joined := defaults.with(user)
		if warned := len(joined.Warnings) == 1; warned == generate {
			t.Errorf("generate %v: warnings %v", generate, joined.Warnings)
		}
		v := verdicts(NewClassifier(joined), batchOf(eventOf(t, `"source.ip":"10.0.0.1","url.path":"/a"`)))[0]
		if want := map[bool]string{false: "[Mine]", true: "[A Mine]"}[generate]; fmt.Sprint(v.Matches) != want {
			t.Errorf("generate %v: matches %v", generate, v.Matches)
		}
	}
}

func TestFilters(t *testing.T) {
	const filter = "---\ntitle: F\nlogsource: {category: %s}\nfilter:\n  rules: [%s]\n  s: {user.name|startswith: adm_}\n  condition: not s\n"
	rules := parse(t, web("A", "low", "x", "name: a")+web("B", "low", "x")+fmt.Sprintf(filter, "web", "a"))
	admin := eventOf(t, `"url.path":"/x","user.name":"adm_ann"`)
	if rules.Rules[0].Matches(admin) || !rules.Rules[1].Matches(admin) {
		t.Error("the filter is not applied to the rule it names, or to others")
	}
	for text, want := range map[string]string{
		fmt.Sprintf(filter, "web", "c"):    `no rule has the id or name "c"`,
		fmt.Sprintf(filter, "dns", "a"):    "the filter is for the log source category dns",
		fmt.Sprintf(filter, "web", "a, c"): `no rule has the id or name "c"`,
		fmt.Sprintf(filter, "web", "C"):    "is a correlation",
		fmt.Sprintf(filter, "web", ""):     "needs rules",
	} {
		rules, err := Parse("test.yml", []byte(web("A", "low", "x", "name: a")+
			"---\ntitle: C\ncorrelation: {type: event_count, rules: [a], group-by: [source.ip], timespan: 1m, condition: {gte: 2}}\n"+text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
		if !rules.Rules[0].Matches(admin) {
			t.Errorf("%s: the filter is refused, and applied", want)
		}
	}
}

// TestWarnings are about rules that load.
func TestWarnings(t *testing.T) {
	for text, want := range map[string]string{
		ruleOf("s: {destination.port: [22, ssh]}\ncondition: s"):                                  `destination.port is never "ssh"`,
		ruleOf("s: {user.name: x}\nt: {user.name: y}\ncondition: s"):                              "does not use the selection t",
		ruleOf("s: {user.name: x}\nt: {cs-cookie: y}\ncondition: s or t"):                         `no field "cs-cookie"`,
		"title: T\nlogsource: {product: linux, service: sshd}\ndetection: {k: [x], condition: k}": "no log message",
		"tags: [attack.t1043]\n" + ruleOf("s: {user.name: x}\ncondition: s"):                      "T1043",
		"tags: [attack.haunting]\n" + ruleOf("s: {user.name: x}\ncondition: s"):                   "haunting",
		strings.Replace(guessing, "source.ip", "user.name", 1):                                    "does not group by source.ip",
	} {
		rules := parse(t, text)
		if len(rules.Warnings) != 1 || !strings.Contains(rules.Warnings[0].Error(), want) {
			t.Errorf("warnings %v, want %s", rules.Warnings, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(guessing)
	f.Add(everyCorrelation)
	f.Add(ruleOf("s:\n- {c-uri|re|i: 'a.*b', source.ip|cidr: ['10.0.0.0/8']}\n- ['x*?y', \\*]\ncondition: all of s* and not (1 of them)"))
	f.Add("a: &a [*a]\n---\n? {x: y}\n: !!binary z\n")
	e := &event.Event{ID: "1", Timestamp: noon, Category: "web", Dataset: "zeek.http", URL: event.URL{Path: "/ÄxK", Query: "\xff"}}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := Parse("fuzz.yml", []byte(text))
		if err != nil && len(Problems(err)) == 0 {
			t.Errorf("an error without a problem: %v", err)
		}
		c := newClassifier(rules, 10)
		v := verdicts(c, batchOf(e, e, e))
		for _, r := range rules.Rules {
			if r.Matches(e) && len(v[0].Matches) == 0 && r.Correlation == nil && c.reportedRule(r) {
				t.Errorf("rule %q matches, but not in the classifier", r.Title)
			}
			r.Explain(e)
		}
	})
}

// reportedRule reports whether matches of a rule count by themselves.
func (c *Classifier) reportedRule(r *Rule) bool {
	for _, p := range c.plan {
		if p.rule == r {
			return p.reported
		}
	}
	return false
}

// What a folder of rules holds is read or told of.
func TestLoadTellsOfLinks(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	const rule = "title: T\nid: T\nlogsource: {category: firewall}\ndetection: {s: {source.port: 1}, condition: s}\n"
	if err := os.WriteFile(filepath.Join(dir, "RULE.YML"), []byte(rule), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(dir, "more")); err != nil {
		t.Fatal(err)
	}
	rules, err := Load(dir)
	if err != nil || len(rules.Rules) != 1 || len(rules.Warnings) != 1 || !strings.Contains(rules.Warnings[0].Error(), "more: a symbolic link") {
		t.Errorf("%d rules, warnings %v, error %v", len(rules.Rules), rules.Warnings, err)
	}
}
