package sigma_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"soclab/internal/need"
	"soclab/pkg/attack"
	"soclab/pkg/event"
	"soclab/pkg/sensor"
	"soclab/pkg/sigma"
	"soclab/pkg/traffic"
)

func defaultRules(t *testing.T) *sigma.RuleSet {
	t.Helper()
	rules, err := sigma.DefaultRules()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// A rule that names no technique serves a correlation and detects nothing by
// itself.
func TestDefaultRulesAreDocumented(t *testing.T) {
	uuid4 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	rules := defaultRules(t)
	for _, w := range rules.Warnings {
		t.Error(w)
	}

	used := make(map[string]bool)
	for _, r := range rules.Rules {
		if r.Correlation == nil {
			continue
		}
		for _, name := range r.Correlation.Rules {
			used[name] = true
		}
		if !slices.Contains(r.Correlation.GroupBy, "source.ip") {
			t.Errorf("%s: %q does not group by source.ip", r.File, r.Title)
		}
	}

	ids, titles, tactics, detecting, correlations := map[string]bool{}, map[string]bool{}, map[string]bool{}, 0, 0
	for _, r := range rules.Rules {
		complaint := func(format string, args ...any) {
			t.Helper()
			t.Errorf("%s:%d %q: %s", r.File, r.Line, r.Title, fmt.Sprintf(format, args...))
		}
		if !uuid4.MatchString(r.ID) || ids[r.ID] {
			complaint("id %s is not a random UUID of its own", r.ID)
		}
		if titles[r.Title] {
			complaint("the title is another rule's too")
		}
		ids[r.ID], titles[r.Title] = true, true
		if r.Status == "" || r.Description == "" || r.Author == "" || len(r.References) == 0 || len(r.FalsePositives) == 0 {
			complaint("status, description, author, references or falsepositives are missing")
		}

		if len(r.Techniques) == 0 {
			if !used[r.Name] || r.Level != "informational" {
				complaint("names no technique, and serves no correlation as an informational rule")
			}
			continue
		}
		if r.Level == "informational" {
			complaint("names a technique, but has no level")
		}
		if len(r.Tactics) == 0 || !slices.Contains(r.Techniques[0].Tactics, r.Tactics[0].ID) {
			complaint("its first tactic %v is not one of its first technique %s", r.Tactics, r.Techniques[0].ID)
			continue
		}
		page := "https://attack.mitre.org/techniques/" + strings.ReplaceAll(r.Techniques[0].ID, ".", "/") + "/"
		if !slices.Contains(r.References, page) {
			complaint("does not refer to %s", page)
		}
		tactics[r.Tactics[0].Name] = true
		detecting++
		if r.Correlation != nil {
			correlations++
		}
	}

	files, err := filepath.Glob("rules/*.yml")
	if err != nil || len(files) < 35 || correlations < 10 || len(tactics) < 9 {
		t.Errorf("%d files, %d correlations, %d tactics (%v): want 35, 10, 9 at least", len(files), correlations, len(tactics), err)
	}
	readme, err := os.ReadFile("../../README.md")
	if figure := fmt.Sprintf("%d documents; %d detect, %d of these are correlations", len(rules.Rules), detecting, correlations); err != nil ||
		!bytes.Contains(readme, []byte(figure)) {
		t.Errorf("README.md does not say %q (%v)", figure, err)
	}
}

// samples are events on which the rules of one file must fire and stay silent.
// Time runs on from one to the next.
type samples struct {
	Fires, Silent []sample
}

// sample is one event, or the same one many times: $n in its values counts
// from 1.
type sample struct {
	Kind   string // of kinds
	Repeat int
	Every  time.Duration
	Event  yaml.Node
}

// kinds are the fields that tell where an event was observed.
var kinds = map[string]map[string]any{
	"conn":  {"event.dataset": "zeek.conn", "event.category": "network"},
	"dns":   {"event.dataset": "zeek.dns", "event.category": "network"},
	"http":  {"event.dataset": "zeek.http", "event.category": "web"},
	"login": {"event.dataset": "system.auth", "event.category": "authentication"},
}

func (s sample) events(t *testing.T, from time.Time) []event.Event {
	t.Helper()
	template, err := yaml.Marshal(&s.Event)
	if err != nil {
		t.Fatal(err)
	}
	events := make([]event.Event, max(1, s.Repeat))
	for i := range events {
		fields := map[string]any{}
		maps.Copy(fields, kinds[s.Kind])
		text := bytes.ReplaceAll(template, []byte("$n"), []byte(strconv.Itoa(i+1)))
		if err := yaml.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		fields["event.id"] = "sample"
		fields["@timestamp"] = from.Add(time.Duration(i) * s.Every).Format(time.RFC3339Nano)
		record, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		if err := event.DecodeJSON(string(record), &events[i]); err != nil {
			t.Fatalf("%s: %v", record, err)
		}
	}
	return events
}

// detected counts the events on which any of the rules fires.
func detected(t *testing.T, rules *sigma.RuleSet, list []sample) (hits, all int) {
	t.Helper()
	var batch event.Batch
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, s := range list {
		for _, e := range s.events(t, now) {
			batch.Records = append(batch.Records, event.Record{Event: e, Offset: int64(len(batch.Records))})
			now = e.Timestamp
		}
		now = now.Add(time.Second)
	}
	sigma.NewClassifier(rules).Classify(context.Background(), &batch)
	for _, r := range batch.Records {
		if r.Verdict.RuleID != "" {
			hits++
		}
	}
	return hits, len(batch.Records)
}

func TestDefaultRulesOnSamples(t *testing.T) {
	files, err := filepath.Glob("rules/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".yml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rules, err := sigma.Parse(file, text)
			if err != nil {
				t.Fatal(err)
			}
			text, err = os.ReadFile(filepath.Join("testdata", "rules", name))
			if err != nil {
				t.Fatal(err)
			}
			var s samples
			if err := yaml.Unmarshal(text, &s); err != nil {
				t.Fatal(err)
			}
			if hits, _ := detected(t, rules, s.Fires); hits == 0 {
				t.Error("does not fire on the events that it is made for")
			}
			if hits, all := detected(t, rules, s.Silent); hits > 0 || all == 0 {
				t.Errorf("fires on %d of the %d events that only look alike", hits, all)
			}
		})
	}
}

// classify reads a source to its end as one partition.
func classify(t *testing.T, source interface{ Next() (*event.Event, error) }, each func(*event.Event, *event.Verdict)) {
	t.Helper()
	classifier := sigma.NewClassifier(defaultRules(t))
	batch := event.Batch{Records: make([]event.Record, 1)}
	for offset := int64(0); ; offset++ {
		e, err := source.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		batch.Records[0] = event.Record{Event: *e, Offset: offset}
		classifier.Classify(context.Background(), &batch)
		each(e, batch.Records[0].Verdict)
	}
}

// openLog opens a log of testdata/zeek, or a real one.
func openLog(t *testing.T, path string) *sensor.Reader {
	t.Helper()
	source, err := sensor.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	return source
}

func TestPortScanIsFound(t *testing.T) {
	scans := func(t *testing.T, log, scanner string) (flows, found, others int) {
		classify(t, openLog(t, log), func(e *event.Event, v *event.Verdict) {
			flows++
			switch {
			case v.Technique.ID != "T1046":
			case e.Source.IP.String() == scanner:
				found++
			default:
				others++
			}
		})
		return flows, found, others
	}
	t.Run("sample", func(t *testing.T) {
		flows, found, others := scans(t, "../../testdata/zeek/port-scan.log", "10.20.0.11")
		if flows != 210 || found != 33 || others != 0 {
			t.Errorf("%d of %d flows are T1046, and %d of other sources; want 33 of 210 and none", found, flows, others)
		}
	})
	t.Run("real", func(t *testing.T) {
		flows, found, _ := scans(t, need.RealLog(t, "zeek-portscan/conn.log"), "172.16.1.11")
		if flows != 4504 || found < flows/2 {
			t.Errorf("%d of %d flows are T1046, want more than half of 4504", found, flows)
		}
	})
}

func TestBeaconIsFound(t *testing.T) {
	t.Run("sample", func(t *testing.T) {
		flows, found := beacons(t, "../../testdata/zeek/beacon.log")
		if flows["Malicious"] != 80 || found["Malicious"] != 72 || found["Benign"]+found["Background"] != 0 {
			t.Errorf("%v of %v flows are C&C, want 72 of the 80 malicious ones", found, flows)
		}
	})
	t.Run("real", func(t *testing.T) {
		flows, found := beacons(t, need.RealLog(t, "zeek-c2/labeled-conn.log"))
		if flows["Malicious"] != 244 || found["Malicious"] < 220 {
			t.Errorf("%d of %d C&C flows found, want 220 of 244", found["Malicious"], flows["Malicious"])
		}
		if others := found["Benign"] + found["Background"]; others > 7 {
			t.Errorf("%d flows of 748 others are taken for C&C, want 7 at most", others)
		}
	})
}

// beacons counts the flows of a labelled conn.log by their label, and those
// that are detected as command and control.
func beacons(t *testing.T, log string) (flows, found map[string]int) {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	label := make(map[string]string) // by uid, which is the event's id
	for line := range strings.Lines(string(text)) {
		if columns := strings.Split(line, "\t"); !strings.HasPrefix(line, "#") {
			label[columns[1]] = columns[21]
		}
	}
	flows, found = map[string]int{}, map[string]int{}
	classify(t, openLog(t, log), func(e *event.Event, v *event.Verdict) {
		flows[label[e.ID]]++
		if v.Tactic.ID == "TA0011" {
			found[label[e.ID]]++
		}
	})
	return flows, found
}

// The bounds are those of the design: F1 is of the recall of incidents (one is
// found when one of its rows carries a technique that its truth accepts) and
// the precision of rows, averaged over techniques; sub-techniques count with
// their parent.
func TestGeneratedAttacksAreFound(t *testing.T) {
	generator, err := traffic.NewGenerator(traffic.Options{
		Seed: 4711, Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Events: 250_000, AttackShare: 0.02,
	})
	if err != nil {
		t.Fatal(err)
	}
	type tally struct{ incidents, found, rows, right int }
	techniques := make(map[string]*tally)
	of := func(id string) *tally {
		id, _, _ = strings.Cut(id, ".")
		if techniques[id] == nil {
			techniques[id] = new(tally)
		}
		return techniques[id]
	}
	seen, found := map[string]bool{}, map[string]bool{}
	benign, falseAlarms := 0, 0
	classify(t, generator, func(e *event.Event, v *event.Verdict) {
		truth := generator.Truth()
		switch {
		case truth == nil:
			benign++
			if v.RuleID != "" {
				falseAlarms++
				of(v.Technique.ID).rows++
			}
			return
		case truth.Scenario == "exercise":
			if v.RuleID != "" {
				t.Errorf("%q detects the scenario that is left to the reader", v.Class)
			}
			return
		}
		if !seen[truth.Incident] {
			seen[truth.Incident] = true
			of(truth.Techniques[0]).incidents++
		}
		if v.RuleID == "" {
			return
		}
		of(v.Technique.ID).rows++
		if slices.ContainsFunc(truth.Techniques, func(expected string) bool { return attack.Answers(v.Technique.ID, expected) }) {
			of(v.Technique.ID).right++
			if !found[truth.Incident] {
				found[truth.Incident] = true
				of(truth.Techniques[0]).found++
			}
		}
	})

	sum, n := 0.0, 0
	for id, c := range techniques {
		if c.incidents == 0 {
			continue
		}
		recall := float64(c.found) / float64(c.incidents)
		precision := float64(c.right) / float64(max(1, c.rows))
		f1 := 0.0
		if c.right > 0 {
			f1 = 2 * recall * precision / (recall + precision)
		}
		t.Logf("%s: recall %d/%d, precision %d/%d, F1 %.3f", id, c.found, c.incidents, c.right, c.rows, f1)
		sum += f1
		n++
	}
	if macro := sum / float64(n); n < 10 || macro < 0.90 {
		t.Errorf("macro F1 %.3f over %d techniques, want 0.90 over 10 at least", macro, n)
	}
	if falseAlarms*1000 >= benign {
		t.Errorf("%d false alarms in %d benign events, want less than one in a thousand", falseAlarms, benign)
	}
}
