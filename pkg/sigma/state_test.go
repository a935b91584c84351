package sigma

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"soclab/pkg/event"
)

// everyCorrelation has each kind of correlation, with aliases and chains.
const everyCorrelation = `
title: Failed
id: failed
logsource: {category: authentication}
detection: {s: {event.outcome: failure}, condition: s}
---
title: Success
id: success
logsource: {category: authentication}
detection: {s: {event.outcome: success}, condition: s}
---
title: Root
id: root
logsource: {category: authentication}
detection: {s: {user.name: root}, condition: s}
---
title: Count
id: event_count
correlation: {type: event_count, rules: [failed], group-by: [source.ip], timespan: 4s, condition: {gte: 3}, generate: true}
---
title: Count of two rules, in a range
id: event_count_range
correlation: {type: event_count, rules: [failed, root], group-by: [source.ip], timespan: 6s, condition: {gt: 1, lte: 3}, generate: true}
---
title: Few
id: event_count_lt
correlation: {type: event_count, rules: [success], group-by: [source.ip, user.name], timespan: 3s, condition: {lt: 2}, generate: true}
---
title: Not two
id: event_count_neq
correlation: {type: event_count, rules: [success], group-by: [source.ip], timespan: 3s, condition: {neq: 2}, generate: true}
---
title: Names
id: value_count
correlation: {type: value_count, rules: [failed, success], group-by: [source.ip], timespan: 5s, condition: {field: user.name, gte: 3}, generate: true}
---
title: Pairs
id: value_count_pairs
correlation: {type: value_count, rules: [failed], group-by: [source.ip], timespan: 5s, condition: {field: [user.name, destination.ip], eq: 3}, generate: true}
---
title: Sum
id: value_sum
correlation: {type: value_sum, rules: [failed, success], group-by: [source.ip], timespan: 4s, condition: {field: source.bytes, gte: 20}, generate: true}
---
title: Average
id: value_avg
correlation: {type: value_avg, rules: [failed, success], group-by: [source.ip], timespan: 4s, condition: {field: source.bytes, gt: 5.5}, generate: true}
---
title: Temporal
id: temporal
correlation: {type: temporal, rules: [failed, success, root], group-by: [source.ip], timespan: 3s, generate: true}
---
title: Two of three
id: temporal_some
correlation: {type: temporal, rules: [failed, success, root], group-by: [source.ip], timespan: 1s, condition: {gte: 2}, generate: true}
---
title: Ordered
id: temporal_ordered
correlation: {type: temporal_ordered, rules: [failed, root, success], group-by: [source.ip], timespan: 4s, generate: true}
---
title: Aliases
id: aliases
correlation:
  type: temporal
  rules: [failed, success]
  group-by: [host]
  aliases: {host: {failed: destination.ip, success: source.ip}}
  timespan: 5s
  generate: true
---
title: Count by aliases
id: aliases_count
correlation:
  type: event_count
  rules: [failed, root]
  group-by: [host]
  aliases: {host: {failed: destination.ip, root: source.ip}}
  timespan: 5s
  condition: {gte: 3}
  generate: true
---
title: Chain
id: chain
correlation: {type: event_count, rules: [event_count, value_count], group-by: [source.ip], timespan: 8s, condition: {gte: 4}, generate: true}
---
title: Chain of chains
id: chain_ordered
correlation: {type: temporal_ordered, rules: [chain, success], group-by: [source.ip], timespan: 9s, generate: true}
`

// randomLogins makes logins in an order that is not always that of their
// times, at offsets with gaps.
func randomLogins(random *rand.Rand, n int) []event.Record {
	address := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(random.IntN(n))}) }
	records := make([]event.Record, n)
	offset, clock := int64(random.IntN(100)), 0
	for i := range records {
		offset += 1 + int64(random.IntN(8)/6*random.IntN(5))
		clock += random.IntN(3)
		at := clock
		if random.IntN(4) == 0 {
			at -= random.IntN(30) // late
		}
		if random.IntN(40) == 0 {
			at += 20 // a clock that is ahead
		}
		e := event.Event{
			Timestamp: noon.Add(time.Duration(at) * time.Second / 2), ID: fmt.Sprint(i),
			Dataset: "system.auth", Category: "authentication",
			Source: event.Endpoint{IP: address(2)}, Destination: event.Endpoint{IP: address(3)},
			Outcome: []string{"failure", "success", "failure", ""}[random.IntN(4)],
			User:    []string{"ann", "bob", "root", "eve", ""}[random.IntN(5)],
		}
		if random.IntN(8) > 0 {
			e.Source.Bytes = event.Known(int64(random.IntN(10)))
		}
		records[i] = event.Record{Event: e, Offset: offset}
	}
	return records
}

// reference says which rules match each record, by the definition: for every
// record it looks at all before it.
type reference struct {
	reach   int64
	records []event.Record
	known   map[string]bool
}

func (m *reference) matches(r *Rule, i int) bool {
	key := fmt.Sprint(r.ID, " ", i)
	if known, ok := m.known[key]; ok {
		return known
	}
	result := false
	if c := r.Correlation; c == nil {
		result = r.Matches(&m.records[i].Event)
	} else {
		for rule := range c.rules {
			if group, ok := m.group(c, rule, i); ok && m.holds(c, group, i) {
				result = true
			}
		}
	}
	m.known[key] = result
	return result
}

// group names the group that record i counts for as a match of a rule.
func (m *reference) group(c *Correlation, rule, i int) (string, bool) {
	if !m.matches(c.rules[rule], i) {
		return "", false
	}
	group, ok := m.values(c.keys[rule], i)
	if _, counted := m.values(c.values, i); !counted {
		ok = false
	}
	return group, ok
}

func (m *reference) values(fields []field, i int) (string, bool) {
	var values []string
	for _, f := range fields {
		value := string(event.Field(f.sources[0]).Append(nil, &m.records[i].Event))
		if value == "" {
			return "", false
		}
		values = append(values, value)
	}
	return strings.Join(values, "|"), true
}

// rulesAt lists the rules as whose matches record k is in the window of record i.
func (m *reference) rulesAt(c *Correlation, group string, k, i int) []int {
	a, b := &m.records[k], &m.records[i]
	if k > i || a.Offset <= b.Offset-m.reach || a.Timestamp.After(b.Timestamp) || !a.Timestamp.After(b.Timestamp.Add(-c.Timespan)) {
		return nil
	}
	var rules []int
	for rule := range c.rules {
		if g, ok := m.group(c, rule, k); ok && g == group {
			rules = append(rules, rule)
		}
	}
	return rules
}

// counted is what counts at one event, by the definition.
type counted struct {
	events  int
	rules   map[int]bool    // that they match
	values  map[string]bool // of the condition's fields
	numbers []int64         // source.bytes, in order
}

// definitions say what each kind of correlation measures. That of
// temporal_ordered, which measures nothing, is endsSequence.
var definitions = map[string]func(counted) float64{
	"event_count": func(c counted) float64 { return float64(c.events) },
	"value_count": func(c counted) float64 { return float64(len(c.values)) },
	"value_sum":   func(c counted) float64 { return sum(c.numbers) },
	"value_avg":   func(c counted) float64 { return sum(c.numbers) / float64(c.events) },
	"temporal":    func(c counted) float64 { return float64(len(c.rules)) },
}

func sum(numbers []int64) (sum float64) {
	for _, n := range numbers {
		sum += float64(n)
	}
	return sum
}

func (m *reference) holds(c *Correlation, group string, i int) bool {
	if c.Type == "temporal_ordered" {
		return m.endsSequence(c, group, len(c.rules)-1, i, i)
	}
	in := counted{rules: map[int]bool{}, values: map[string]bool{}}
	for k := range i + 1 {
		rules := m.rulesAt(c, group, k, i)
		if len(rules) == 0 {
			continue
		}
		in.events++
		for _, rule := range rules {
			in.rules[rule] = true
		}
		value, _ := m.values(c.values, k)
		in.values[value] = true
		in.numbers = append(in.numbers, m.records[k].Source.Bytes.Value)
	}
	slices.Sort(in.numbers)
	return c.met(definitions[c.Type](in))
}

// endsSequence reports whether record k is a match of a rule in the window of
// record i and follows matches of all rules before it.
func (m *reference) endsSequence(c *Correlation, group string, rule, k, i int) bool {
	if !slices.Contains(m.rulesAt(c, group, k, i), rule) {
		return false
	}
	if rule == 0 {
		return true
	}
	for before := range i {
		a, b := &m.records[before], &m.records[k]
		earlier := a.Timestamp.Before(b.Timestamp) || a.Timestamp.Equal(b.Timestamp) && before < k
		if earlier && m.endsSequence(c, group, rule-1, before, i) {
			return true
		}
	}
	return false
}

// TestEveryKind: each kind of correlation has a rule that all these tests are
// made with, and is named in the package's documentation.
func TestEveryKind(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for kind := range kinds {
		if !strings.Contains(everyCorrelation, "type: "+kind+",") {
			t.Errorf("%s has no rule in everyCorrelation", kind)
		}
		if !regexp.MustCompile(`\b` + kind + `\b`).Match(doc) {
			t.Errorf("%s is not in doc.go", kind)
		}
	}
}

func TestCorrelationsAgainstDefinition(t *testing.T) {
	againstDefinition(t, parse(t, everyCorrelation))
}

func againstDefinition(t *testing.T, rules *RuleSet) {
	t.Helper()
	for _, r := range rules.Rules {
		if c := r.Correlation; c != nil && c.Type != "temporal_ordered" && definitions[c.Type] == nil {
			t.Fatalf("%s has no row in definitions", c.Type)
		}
	}
	hits := make(map[string]int)
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 7))
		records := randomLogins(random, 150)
		reach := int64(5 + random.IntN(120))
		model := &reference{reach: reach, records: records, known: make(map[string]bool)}
		c := newClassifier(rules, reach)
		i := 0
		for len(records) > 0 {
			n := min(1+random.IntN(20), len(records))
			for _, v := range verdicts(c, &event.Batch{Records: records[:n]}) {
				for _, r := range rules.Rules {
					want := model.matches(r, i)
					if got := slices.Contains(v.Matches, r.ID); got != want {
						t.Fatalf("seed %d, record %d, rule %s: %v, want %v", seed, i, r.ID, got, want)
					}
					if want {
						hits[r.ID]++
					}
				}
				i++
			}
			records = records[n:]
		}
	}
	for _, r := range rules.Rules {
		if hits[r.ID] < 20 {
			t.Errorf("rule %s matched %d times only: the test says little about it", r.ID, hits[r.ID])
		}
	}
}

// TestTrialWindow: what a trial shows is what counts by the definition.
func TestTrialWindow(t *testing.T) {
	records := randomLogins(rand.New(rand.NewPCG(6, 6)), 300)
	for i := range records {
		records[i].Offset = int64(i + 1)
	}
	model := &reference{reach: reach, records: records, known: make(map[string]bool)}
	for _, r := range parse(t, everyCorrelation).Rules {
		if r.Correlation == nil {
			continue
		}
		c, trial := r.Correlation, NewTrial(r)
		for i := range records {
			why, ok := trial.Event(records[i].Event)
			if ok != model.matches(r, i) {
				t.Fatalf("%s, record %d: match %v", r.ID, i, ok)
			}
			if !ok {
				continue
			}
			var got, want []string
			for _, e := range why.Window {
				got = append(got, e.ID)
			}
			for k := range i + 1 {
				counts := false
				for rule := range c.rules {
					group, ok := model.group(c, rule, i)
					counts = counts || ok && len(model.rulesAt(c, group, k, i)) > 0
				}
				if counts {
					want = append(want, records[k].ID)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s, record %d: window %v, want %v", r.ID, i, got, want)
			}
		}
	}
}

// classify gives the ids that match each record, as text.
func classify(c *Classifier, batches ...*event.Batch) []string {
	var all []string
	for _, b := range batches {
		for _, v := range verdicts(c, b) {
			all = append(all, v.Class+" "+strings.Join(v.Matches, ","))
		}
	}
	return all
}

// TestResume stops at every record and goes on with another classifier, which
// reads no more than History offsets again.
func TestResume(t *testing.T) {
	rules := parse(t, everyCorrelation)
	records := randomLogins(rand.New(rand.NewPCG(3, 3)), 300)
	const reach = 20
	want := classify(newClassifier(rules, reach), &event.Batch{Records: records})
	history := newClassifier(rules, reach).History()
	if history != 3*reach {
		t.Fatalf("history %d, want %d: three levels of correlations", history, 3*reach)
	}
	reused := newClassifier(rules, reach) // one that lost the partition and has it again
	for cut := 1; cut < len(records); cut++ {
		from, _ := slices.BinarySearchFunc(records, records[cut].Offset-history, func(r event.Record, offset int64) int {
			return int(r.Offset - offset)
		})
		again := &event.Batch{Records: records[from:cut], Replay: true}
		rest := &event.Batch{Records: records[cut:]}
		for name, c := range map[string]*Classifier{"new": newClassifier(rules, reach), "reused": reused} {
			if got := classify(c, again, rest); !slices.Equal(got, want[cut:]) {
				t.Fatalf("%s classifier resumed at record %d: other verdicts than undisturbed", name, cut)
			}
		}
	}
}

func TestPartitionsAreApart(t *testing.T) {
	rules := parse(t, everyCorrelation)
	a, b := randomLogins(rand.New(rand.NewPCG(1, 1)), 200), randomLogins(rand.New(rand.NewPCG(2, 2)), 200)
	wantA := classify(NewClassifier(rules), &event.Batch{Partition: 0, Records: a})
	wantB := classify(NewClassifier(rules), &event.Batch{Partition: 1, Records: b})
	c := NewClassifier(rules)
	for i := 0; i < 200; i += 10 {
		gotA := classify(c, &event.Batch{Partition: 0, Records: a[i : i+10]})
		gotB := classify(c, &event.Batch{Partition: 1, Records: b[i : i+10]})
		if !slices.Equal(gotA, wantA[i:i+10]) || !slices.Equal(gotB, wantB[i:i+10]) {
			t.Fatalf("record %d: the partitions influence each other", i)
		}
	}
}

// TestForgetting: what is beyond the reach takes no memory.
func TestForgetting(t *testing.T) {
	rules := parse(t, everyCorrelation)
	c := newClassifier(rules, 50)
	records := randomLogins(rand.New(rand.NewPCG(5, 5)), 20_000)
	classify(c, &event.Batch{Records: records})
	for _, p := range c.partitions {
		for _, s := range p.states {
			// An event counts once for each rule at most.
			if most := 50 * len(s.correlation.rules); s.members.len() > most || cap(s.members.members) > 8*most ||
				len(s.groups) > most {
				t.Errorf("%v holds %d members (room for %d), %d groups; want %d at most",
					s.correlation, s.members.len(), cap(s.members.members), len(s.groups), most)
			}
		}
	}
}

func TestSortedTimes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var line sortedTimes
	var all []entry
	check := func() {
		moment := int64(random.IntN(400) - 10)
		n, sum, floor, above := 0, int64(0), int64(-1), int64(1<<40)
		for _, e := range all {
			if e.at <= moment {
				n, sum, floor = n+1, sum+e.weight, max(floor, e.at)
			} else {
				above = min(above, e.at)
			}
		}
		gotN, gotSum := line.until(moment)
		gotFloor, ok := line.floor(moment)
		gotAbove, ok2 := line.above(moment)
		if gotN != n || gotSum.float() != float64(sum) || ok != (floor >= 0) || ok && gotFloor != floor ||
			ok2 != (above < 1<<40) || ok2 && gotAbove != above {
			t.Fatalf("until %d: %d %v, %d, %d; want %d %d, %d, %d", moment, gotN, gotSum, gotFloor, gotAbove, n, sum, floor, above)
		}
	}
	for range 20 {
		for range random.IntN(1500) {
			e := entry{int64(random.IntN(390)), int64(random.IntN(7) - 3)}
			line.insert(e)
			all = append(all, e)
			check()
		}
		for len(all) > 0 && random.IntN(1500) > 0 {
			i := random.IntN(len(all))
			if !line.remove(all[i]) {
				t.Fatalf("%v is not there", all[i])
			}
			all = slices.Delete(all, i, i+1)
			check()
		}
		if line.remove(entry{at: 1000}) {
			t.Fatal("removed what was never there")
		}
	}
}

// TestSumDoesNotOverflow: the largest counts that events may have.
func TestSumDoesNotOverflow(t *testing.T) {
	rules := parse(t, `
title: Any
id: any
logsource: {category: network}
detection: {s: {source.ip|exists: true}, condition: s}
---
title: Sum
id: sum
correlation: {type: value_sum, rules: [any], group-by: [source.ip], timespan: 1h, condition: {field: source.bytes, gte: 20000000000000000000}}
`)
	var records []event.Record
	for i := range 4 {
		records = append(records, event.Record{Offset: int64(i), Event: event.Event{Timestamp: noon, Category: "network",
			Source: event.Endpoint{IP: netip.MustParseAddr("10.0.0.1"), Bytes: event.Known(1<<63 - 1)}}})
	}
	want := []string{"benign ", "benign ", "Sum sum", "Sum sum"}
	if got := classify(NewClassifier(rules), &event.Batch{Records: records}); !slices.Equal(got, want) {
		t.Errorf("verdicts %q, want %q", got, want)
	}
}

// BenchmarkLateEvents is the worst order of times for one group.
func BenchmarkLateEvents(b *testing.B) {
	rules := parse(b, everyCorrelation)
	const n = 200_000
	for name, at := range map[string]func(i int) int{
		"in order": func(i int) int { return i },
		"reversed": func(i int) int { return n - i },
		"to and fro": func(i int) int {
			if i%2 == 0 {
				return i
			}
			return n - i
		},
	} {
		b.Run(name, func(b *testing.B) {
			records := randomLogins(rand.New(rand.NewPCG(1, 1)), n)
			for i := range records {
				r := &records[i]
				r.Source.IP, r.Timestamp = netip.AddrFrom4([4]byte{10, 0, 0, 1}), noon.Add(time.Duration(at(i))*10*time.Microsecond)
			}
			for b.Loop() {
				classify(NewClassifier(rules), &event.Batch{Records: records})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		})
	}
}
