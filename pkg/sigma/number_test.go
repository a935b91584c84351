package sigma

import (
	"testing"

	"soclab/pkg/event"
)

// Numbers compare exactly, up to the ends of what an event can hold and beyond.
func TestNumberBounds(t *testing.T) {
	const most = "9223372036854775807"
	for _, test := range []struct {
		item  string
		bytes int64
		match bool
	}{
		{"source.bytes|gt: " + most, 1<<63 - 1, false},
		{"source.bytes|gte: " + most, 1<<63 - 1, true},
		{"source.bytes|gte: 9223372036854775808", 1<<63 - 1, false},
		{"source.bytes|lt: 1e30", 1<<63 - 1, true},
		{"source.bytes|gt: -1e30", 0, true},
		{"source.bytes|lt: -1e30", 0, false},
		{"source.bytes: 9007199254740993", 9007199254740992, false},
		{"source.bytes: 9007199254740993", 9007199254740993, true},
		{"source.bytes|gt: 1.5", 1, false},
		{"source.bytes|gt: 1.5", 2, true},
		{"source.bytes|lte: 1.5", 1, true},
		{"source.bytes: 0x10", 16, true},
		{"duration|gt: 3600", 3600e9, false}, // seconds against nanoseconds
		{"duration|gt: 3600", 3600e9 + 1, true},
		{"duration|lt: 1e10", 1<<63 - 1, true},
		{"duration|gt: 1e10", 1<<63 - 1, false},
	} {
		rules := parse(t, "title: T\nid: T\nlogsource: {category: firewall}\ndetection:\n  s:\n    "+test.item+"\n  condition: s\n")
		e := event.Event{Source: event.Endpoint{Bytes: event.Known(test.bytes)}, Duration: event.Known(test.bytes)}
		if got := rules.Rules[0].Matches(&e); got != test.match {
			t.Errorf("%s: %d matches: %v, want %v", test.item, test.bytes, got, test.match)
		}
	}
}

// Values that match the same are counted as the same: case makes no name.
func TestCountsIgnoreCase(t *testing.T) {
	rules := parse(t, `
title: Missing
name: missing
logsource: {category: dns}
detection: {s: {dns.response_code: NXDOMAIN}, condition: s}
---
title: Many
correlation: {type: value_count, rules: [missing], group-by: [source.ip, user.name], timespan: 1h, condition: {field: dns.question.name, gte: 2}}
`)
	c := NewClassifier(rules)
	question := func(user, name string) *event.Event {
		return eventOf(t, `"event.dataset":"zeek.dns","event.category":"network","source.ip":"10.0.0.1","dns.response_code":"nxdomain","user.name":"`+user+`","dns.question.name":"`+name+`"`)
	}
	got := verdicts(c, batchOf(question("alice", "a.example"), question("ALICE", "A.Example"), question("Alice", "b.example")))
	if got[1].Class != event.Benign || got[2].Class != "Many" {
		t.Errorf("the same name in another case: %s; another name: %s", got[1].Class, got[2].Class)
	}
}
