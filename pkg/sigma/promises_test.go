package sigma

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"soclab/pkg/event"
)

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
		{"read again in two batches", []*event.Batch{at(failure(), "a", 1, true), at(batchOf(login(t, "success")), "a", 2, true), at(failure(), "a", 3, false)}, true},
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

// TestSumsOfDurations: a rule counts them in seconds, as Sigma does, the event
// in nanoseconds.
func TestSumsOfDurations(t *testing.T) {
	for _, kind := range []string{"value_sum", "value_avg"} {
		text := strings.Replace(strings.Replace(guessing, "event_count", kind, 1), "{gte: 2}", "{field: duration, gte: 3}", 1)
		c := NewClassifier(parse(t, text))
		e := login(t, "failure")
		for i, test := range []struct {
			seconds  int64
			sum, avg bool
		}{{1, false, false}, {1, false, false}, {1, true, false}, {9, true, true}} {
			e.Duration = event.Known(test.seconds * int64(time.Second))
			batch := batchOf(e)
			batch.Records[0].Offset = int64(i)
			if got, want := verdicts(c, batch)[0].RuleID != "", map[string]bool{"value_sum": test.sum, "value_avg": test.avg}[kind]; got != want {
				t.Errorf("%s, event %d: detected %v", kind, i, got)
			}
		}
	}
}
