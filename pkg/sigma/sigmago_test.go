package sigma

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	sigmago "github.com/bradleyjkemp/sigma-go"
	"github.com/bradleyjkemp/sigma-go/evaluator"

	"soclab/pkg/event"
)

// pair is a plain default rule as both engines have it.
type pair struct {
	ours   *Rule
	theirs *evaluator.RuleEvaluator
}

// bothEngines loads those plain default rules that sigma-go can run too. It
// has no modifier expand, so the home network is written out.
func bothEngines(t testing.TB) []pair {
	t.Helper()
	var pairs []pair
	files, err := fs.Glob(defaultRules, "rules/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(defaultRules, file)
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.ReplaceAll(string(text), "|cidr|expand: '%home_net%'", "|cidr: ["+strings.Join(quoted(homeNet), ", ")+"]")
		for _, document := range strings.Split(plain, "\n---\n") {
			rules, _ := Parse(file, []byte(document))
			if len(rules.Rules) != 1 || rules.Rules[0].Correlation != nil {
				continue
			}
			parsed, err := sigmago.ParseRule([]byte(document))
			if err != nil {
				continue
			}
			theirs := evaluator.ForRule(parsed)
			if _, err := theirs.Matches(context.Background(), map[string]any{}); err == nil {
				pairs = append(pairs, pair{rules.Rules[0], theirs})
			}
		}
	}
	return pairs
}

func quoted(texts []string) []string {
	var all []string
	for _, t := range texts {
		all = append(all, "'"+t+"'")
	}
	return all
}

// asMap is an event as sigma-go takes it. Its comparisons with gt and the like
// hold for int, and for int64 never.
func asMap(e *event.Event) map[string]any {
	m := make(map[string]any)
	for _, f := range event.Fields() {
		switch text := string(f.Append(nil, e)); {
		case text == "":
		case f.Kind() == event.KindInteger:
			m[f.Name()] = int(f.Int(e).Value)
		default:
			m[f.Name()] = text
		}
	}
	return m
}

func TestAgainstSigmaGo(t *testing.T) {
	pairs := bothEngines(t)
	if len(pairs) < 15 {
		t.Fatalf("only %d rules run on both engines", len(pairs))
	}
	matches := 0
	for _, r := range generated(t, 9, 10_000) {
		m := asMap(&r.Event)
		for _, p := range pairs {
			if !p.ours.route.takes(&r.Event) {
				continue
			}
			theirs, err := p.theirs.Matches(context.Background(), m)
			if err != nil {
				continue // a field that is absent, compared with a number or an address
			}
			ours := p.ours.Matches(&r.Event)
			if ours != theirs.Match {
				t.Errorf("rule %q on %v: %v, by sigma-go %v", p.ours.Title, m, ours, theirs.Match)
			}
			if ours {
				matches++
			}
		}
	}
	if matches < 500 {
		t.Errorf("only %d matches: the test says little", matches)
	}
}

// BenchmarkEngines runs the same rules on the same events, each event by the
// rules of its log source only. An event is ready in the form that the engine
// takes.
func BenchmarkEngines(b *testing.B) {
	pairs := bothEngines(b)
	records := generated(b, 1, 2000)
	b.Run("soclab", func(b *testing.B) {
		set := new(RuleSet)
		for _, p := range pairs {
			set.Rules = append(set.Rules, p.ours)
		}
		c := NewClassifier(set)
		b.ReportAllocs()
		begin := cpuTime()
		for b.Loop() {
			c.Classify(context.Background(), &event.Batch{Records: records})
		}
		b.ReportMetric(float64((cpuTime()-begin).Nanoseconds())/float64(b.N*len(records)), "cpu-ns/event")
	})
	b.Run("sigma-go", func(b *testing.B) {
		var maps []map[string]any
		rules := make([][]*evaluator.RuleEvaluator, len(records))
		for i := range records {
			maps = append(maps, asMap(&records[i].Event))
			for _, p := range pairs {
				if p.ours.route.takes(&records[i].Event) {
					rules[i] = append(rules[i], p.theirs)
				}
			}
		}
		b.ReportAllocs()
		b.ResetTimer()
		begin := cpuTime()
		for b.Loop() {
			for i := range records {
				for _, r := range rules[i] {
					r.Matches(context.Background(), maps[i])
				}
			}
		}
		b.ReportMetric(float64((cpuTime()-begin).Nanoseconds())/float64(b.N*len(records)), "cpu-ns/event")
	})
}
