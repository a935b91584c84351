package sigma

import (
	"encoding/json"
	"fmt"
	"testing"

	"soclab/pkg/event"
)

// sample is a value of the field.
func sample(f event.Field) any {
	switch f.Kind() {
	case event.KindTime:
		return "2026-03-01T12:34:56Z"
	case event.KindAddress:
		return "192.0.2.43"
	case event.KindInteger: // in range
		for n := 443; n > 0; n-- {
			if f.Parse(new(event.Event), fmt.Sprint(n)) == nil {
				return n
			}
		}
	}
	return "443"
}

// other is what a required field holds in its sample's place.
var other = map[event.Field]any{
	event.FieldTimestamp: "2026-03-01T00:00:00Z",
	event.FieldID:        "other",
}

// withFields is an event in which the fields that are asked for hold their
// samples.
func withFields(t *testing.T, holds func(event.Field) bool) *event.Event {
	t.Helper()
	members := make(map[string]any)
	for _, f := range event.Fields() {
		if value := other[f]; value != nil {
			members[f.Name()] = value
		}
		if holds(f) {
			members[f.Name()] = sample(f)
		}
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	var e event.Event
	if err := event.DecodeJSON(string(text), &e); err != nil {
		t.Fatal(err)
	}
	return &e
}

// TestEveryField: a rule on any field, by its ECS name, matches by the value of
// that field and of no other one.
func TestEveryField(t *testing.T) {
	for _, field := range event.Fields() {
		alone := withFields(t, func(f event.Field) bool { return f == field })
		others := withFields(t, func(f event.Field) bool { return f != field })
		rule := func(condition string) *Rule {
			return parse(t, "title: T\nlogsource: {category: firewall}\ndetection: {s: {"+condition+"}, condition: s}").Rules[0]
		}
		r := rule(fmt.Sprintf("'%s': '%v'", field.Name(), sample(field)))
		if !r.Matches(alone) || r.Matches(others) {
			t.Errorf("%s: matches the field's own value %v, that of all others %v", field.Name(), r.Matches(alone), r.Matches(others))
		}
		if why := r.Explain(alone); len(why) != 1 || why[0].Value != fmt.Sprint(sample(field)) {
			t.Errorf("%s: explained by %v", field.Name(), why)
		}
		r = rule("'" + field.Name() + "|exists': true")
		if _, required := other[field]; !r.Matches(alone) || r.Matches(others) != required {
			t.Errorf("%s exists: alone %v, without it %v", field.Name(), r.Matches(alone), r.Matches(others))
		}
	}
}

// TestMadeUpSources: what is put together from several fields is none of them.
func TestMadeUpSources(t *testing.T) {
	e := eventOf(t, `"source.ip":"10.0.0.1","url.domain":"a.example","url.path":"/b/c.txt","url.query":"d=1","zeek.connection.state":"SF"`)
	var v view
	v.set(e)
	for s, want := range map[source]string{
		sourceURI: "/b/c.txt?d=1", sourceURL: "http://a.example/b/c.txt?d=1", sourceExtension: "txt", sourceNetworkType: "ipv4",
	} {
		if got := v.text(s, plain); got != want || !s.present(e) || s.kind() != event.KindText || s < source(event.FieldCount) {
			t.Errorf("source %d: %q, want %q", s, got, want)
		}
	}
}
