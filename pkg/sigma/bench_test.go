package sigma

import (
	"testing"

	"soclab/internal/cost"
	"soclab/pkg/event"
	"soclab/pkg/traffic"
)

// generated is benign traffic mixed with attacks, 2 % of the events, as records
// of one partition. The same seed gives the same events.
func generated(t testing.TB, seed uint64, n int) []event.Record {
	t.Helper()
	generator, err := traffic.NewGenerator(traffic.Options{Seed: seed, Start: noon, Events: n, AttackShare: 0.02})
	if err != nil {
		t.Fatal(err)
	}
	records := make([]event.Record, n)
	for i := range records {
		e, err := generator.Next()
		if err != nil {
			t.Fatal(err)
		}
		records[i] = event.Record{Event: *e, Offset: int64(i), Time: e.Timestamp}
	}
	return records
}

// batches cuts records into batches of one partition.
func batches(records []event.Record, size int) []*event.Batch {
	var all []*event.Batch
	for len(records) > 0 {
		n := min(size, len(records))
		all = append(all, &event.Batch{Topic: "events.raw", Records: records[:n]})
		records = records[n:]
	}
	return all
}

// BenchmarkDefaultRules classifies mixed traffic by the default rules.
func BenchmarkDefaultRules(b *testing.B) {
	rules, err := DefaultRules()
	if err != nil {
		b.Fatal(err)
	}
	const events = 200_000
	records := generated(b, 1, events)
	span := records[events-1].Timestamp.Sub(records[0].Timestamp)
	c := NewClassifier(rules)
	b.ReportAllocs()
	b.ResetTimer()
	passes, hits := 0, 0
	begin := cost.CPU()
	for b.Loop() {
		for _, batch := range batches(records, 1000) {
			c.Classify(b.Context(), batch)
			for i := range batch.Records {
				if batch.Records[i].Verdict.RuleID != "" {
					hits++
				}
			}
		}
		passes++
		for i := range records { // the log goes on
			records[i].Offset += events
			records[i].Timestamp = records[i].Timestamp.Add(span)
		}
	}
	n := float64(passes * events)
	b.ReportMetric(n/(cost.CPU()-begin).Seconds(), "events/cpu-s")
	b.ReportMetric(float64(hits)/n, "hits/event")
}
