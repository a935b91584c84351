package sigma

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

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

const bruteForce = `
title: Failed Login
id: failed
name: failed_login
logsource: {category: authentication}
detection:
  failure: {event.outcome: failure}
  condition: failure
---
title: Password Guessing
id: guessing
level: high
tags: [attack.credential-access, attack.t1110.001]
correlation:
  type: event_count
  rules: [failed_login]
  group-by: [source.ip]
  timespan: 5m
  condition: {gte: 3}
`

func TestClassify(t *testing.T) {
	c := NewClassifier(parse(t, bruteForce))
	login := func(source string, minute int) event.Record {
		return event.Record{Offset: int64(minute), Event: event.Event{
			Timestamp: noon.Add(time.Duration(minute) * time.Minute), ID: fmt.Sprint(minute),
			Dataset: "system.auth", Category: "authentication", Action: "login", Outcome: "failure",
			Source: event.Endpoint{IP: netip.MustParseAddr(source)},
		}}
	}
	batch := &event.Batch{Topic: "events.raw", Records: []event.Record{
		login("10.0.0.1", 0), login("10.0.0.1", 1), login("10.0.0.2", 2), login("10.0.0.1", 3), login("10.0.0.1", 6),
	}}
	var got []string
	for _, v := range c.Classify(context.Background(), batch) {
		got = append(got, v.Class)
	}
	want := "[benign benign benign Password Guessing benign]"
	if fmt.Sprint(got) != want {
		t.Errorf("classes %v, want %s", got, want)
	}
}
