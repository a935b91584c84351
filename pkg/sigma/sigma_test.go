package sigma

import "testing"

func TestDefaultRules(t *testing.T) {
	rules, err := DefaultRules()
	if err != nil {
		t.Error(err)
	}
	for _, w := range rules.Warnings {
		t.Error(w)
	}
	correlations := 0
	for _, r := range rules.Rules {
		if r.Correlation != nil {
			correlations++
		}
	}
	if len(rules.Rules) < 35 || correlations < 10 {
		t.Errorf("%d rules, %d of them correlations; want 35 and 10 at least", len(rules.Rules), correlations)
	}
}
