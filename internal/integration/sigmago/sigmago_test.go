// Package sigmago_test compares the lab's rule engine with sigma-go, the other
// one in Go: what the two say, and what it costs.
package sigmago_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sigmago "github.com/bradleyjkemp/sigma-go"
	"github.com/bradleyjkemp/sigma-go/evaluator"

	"soclab/internal/cost"
	"soclab/pkg/event"
	"soclab/pkg/sigma"
	"soclab/pkg/traffic"
)

// pair is a plain default rule as both engines have it.
type pair struct {
	ours   *sigma.Rule
	source *sigma.Rule // matches every event of the rule's log source
	theirs *evaluator.RuleEvaluator
}

// bothEngines loads those plain default rules that sigma-go can run too. It
// has no modifier expand, so the home network is written out.
func bothEngines(t testing.TB) []pair {
	t.Helper()
	const homeNet = "'10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '127.0.0.0/8', 'fc00::/7', 'fe80::/10', '::1/128'"
	var pairs []pair
	files, err := filepath.Glob("../../../pkg/sigma/rules/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.ReplaceAll(string(text), "|cidr|expand: '%home_net%'", "|cidr: ["+homeNet+"]")
		for document := range strings.SplitSeq(plain, "\n---\n") {
			rules, _ := sigma.Parse(file, []byte(document))
			if len(rules.Rules) != 1 || rules.Rules[0].Correlation != nil {
				continue
			}
			parsed, err := sigmago.ParseRule([]byte(document))
			if err != nil {
				continue
			}
			theirs := evaluator.ForRule(parsed)
			if _, err := theirs.Matches(context.Background(), map[string]any{}); err == nil {
				pairs = append(pairs, pair{rules.Rules[0], all(t, rules.Rules[0].LogSource), theirs})
			}
		}
	}
	if len(pairs) < 15 {
		t.Fatalf("only %d rules run on both engines", len(pairs))
	}
	return pairs
}

// all is a rule that matches each event of a log source.
func all(t testing.TB, s sigma.LogSource) *sigma.Rule {
	t.Helper()
	document := "title: all\nlogsource:\n"
	for name, value := range map[string]string{"category": s.Category, "product": s.Product, "service": s.Service} {
		if value != "" {
			document += "  " + name + ": " + value + "\n"
		}
	}
	rules, err := sigma.Parse("all.yml", []byte(document+"detection:\n  all:\n    event.id|exists: true\n  condition: all\n"))
	if err != nil {
		t.Fatal(err)
	}
	return rules.Rules[0]
}

// generated is benign traffic mixed with attacks, as records of one partition.
func generated(t testing.TB, seed uint64, n int) []event.Record {
	t.Helper()
	generator, err := traffic.NewGenerator(traffic.Options{
		Seed: seed, Start: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Events: n, AttackShare: 0.02,
	})
	if err != nil {
		t.Fatal(err)
	}
	var records []event.Record
	for {
		e, err := generator.Next()
		if err == io.EOF {
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, event.Record{Event: *e, Offset: int64(len(records)), Time: e.Timestamp})
	}
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
	matches := 0
	for _, r := range generated(t, 9, 10_000) {
		m := asMap(&r.Event)
		for _, p := range pairs {
			if !p.source.Matches(&r.Event) {
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

// engines run the same rules on the same events, each event by the rules of its
// log source only. An event is ready in the form that the engine takes.
func engines(t testing.TB) (ours, theirs cost.Work) {
	pairs := bothEngines(t)
	records := generated(t, 1, 2000)
	set := new(sigma.RuleSet)
	for _, p := range pairs {
		set.Rules = append(set.Rules, p.ours)
	}
	classifier := sigma.NewClassifier(set)
	maps := make([]map[string]any, len(records))
	rules := make([][]*evaluator.RuleEvaluator, len(records))
	for i := range records {
		maps[i] = asMap(&records[i].Event)
		for _, p := range pairs {
			if p.source.Matches(&records[i].Event) {
				rules[i] = append(rules[i], p.theirs)
			}
		}
	}
	ctx := context.Background()
	ours = func() (int, error) {
		classifier.Classify(ctx, &event.Batch{Records: records})
		return len(records), nil
	}
	theirs = func() (int, error) {
		for i := range records {
			for _, r := range rules[i] {
				r.Matches(ctx, maps[i]) // an absent field that is compared is an error
			}
		}
		return len(records), nil
	}
	return ours, theirs
}

func BenchmarkEngines(b *testing.B) {
	ours, theirs := engines(b)
	for name, work := range map[string]cost.Work{"soclab": ours, "sigma-go": theirs} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			begin, events := cost.CPU(), 0
			for b.Loop() {
				n, err := work()
				if err != nil {
					b.Fatal(err)
				}
				events += n
			}
			b.ReportMetric(float64((cost.CPU()-begin).Nanoseconds())/float64(events), "cpu-ns/event")
		})
	}
}
