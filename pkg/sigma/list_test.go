package sigma

import (
	"testing"

	"soclab/pkg/event"
)

// A field that is a list matches by any of its elements, and by all of its text.
func TestLists(t *testing.T) {
	for _, test := range []struct {
		item, protocol string
		match          bool
	}{
		{"network.protocol: http", "http", true},
		{"network.protocol: http", "http,websocket", true},
		{"network.protocol: HTTP", "websocket,http", true},
		{"network.protocol: http", "https,http2", false},
		{"network.protocol: [rdp, ssh, smb, ftp]", "gssapi,smb,krb", true},
		{"network.protocol: [rdp, ssh, dns, ftp]", "gssapi,smb,krb", false},
		{"network.protocol|startswith: sm", "gssapi,smb", true},
		{"network.protocol|endswith: api", "gssapi,smb", true},
		{"network.protocol|re: ^smb$", "gssapi,smb", true},
		{"network.protocol|re|i: ^SMB$", "gssapi,smb", true},
		{"network.protocol|cased: SMB", "gssapi,smb", false},
		{"network.protocol: gssapi,smb", "gssapi,smb", true},
		{"service: ssl", "quic,ssl", true},
		{"network.protocol|neq: ssl", "quic,ssl", false},
		{"network.protocol: null", "quic,ssl", false},
	} {
		rules := parse(t, "title: T\nid: T\nlogsource: {category: firewall}\ndetection:\n  s:\n    "+test.item+"\n  condition: s\n")
		if got := rules.Rules[0].Matches(&event.Event{Protocol: test.protocol}); got != test.match {
			t.Errorf("%s: %s matches: %v, want %v", test.item, test.protocol, got, test.match)
		}
	}
	answers := parse(t, "title: T\nid: T\nlogsource: {category: dns}\ndetection: {s: {answers: 203.0.113.7}, condition: s}\n")
	if !answers.Rules[0].Matches(&event.Event{Dataset: "zeek.dns", DNS: event.DNS{Answers: "198.51.100.1,203.0.113.7"}}) {
		t.Error("the second answer does not match")
	}
	rdp := parse(t, "title: T\nid: T\nlogsource: {product: zeek, service: rdp}\ndetection: {s: {destination.port: 3389}, condition: s}\n")
	e := eventOf(t, `"event.dataset":"zeek.conn","event.category":"network","network.protocol":"rdp,ssl","destination.port":3389`)
	if got := verdicts(NewClassifier(rdp), batchOf(e)); got[0].Class != "T" {
		t.Errorf("RDP over TLS is %s to a rule for RDP", got[0].Class)
	}
}
