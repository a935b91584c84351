//go:build unix && !race

package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"soclab/internal/cost"
	"soclab/pkg/sigma"
)

// The README says nine times, see BenchmarkClassifyStage.
func TestCheaperThanThePlainWay(t *testing.T) {
	const events, plainEvents = 100_000, 5000
	cluster := startBroker(t)
	fill(t, cluster, events)
	rules, err := sigma.DefaultRules()
	if err != nil {
		t.Fatal(err)
	}
	group := 0
	work := func(stage func(group, path string) (int, error)) cost.Work {
		return func() (int, error) {
			group++
			return stage(fmt.Sprint("ratio-", group), filepath.Join(t.TempDir(), classifiedFile))
		}
	}
	ratio, ours, plain, err := cost.Ratio(3,
		work(func(group, path string) (int, error) {
			return ourStage(t.Context(), cluster, group, path, rules, false)
		}),
		work(func(group, path string) (int, error) {
			return plainStage(t.Context(), cluster, group, path, rules, plainEvents, 1)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s an event, the plain way %s: %.1f times", ours, plain, ratio)
	if ratio < 3 {
		t.Errorf("%s of CPU an event, the plain way %s: only %.1f times, want 3 at least", ours, plain, ratio)
	}
}
