package traffic

import (
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"soclab/pkg/attack"
	"soclab/pkg/event"
	"soclab/pkg/store"
)

var update = flag.Bool("update", false, "write data/sample anew")

var monday = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func generator(t testing.TB, o Options) *Generator {
	t.Helper()
	if o.Start.IsZero() {
		o.Start = monday
	}
	g, err := NewGenerator(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// each calls do with every event of a run and its truth.
func each(t testing.TB, o Options, do func(*event.Event, *event.Truth)) *Generator {
	t.Helper()
	g := generator(t, o)
	for {
		e, err := g.Next()
		if err == io.EOF {
			return g
		}
		if err != nil {
			t.Fatal(err)
		}
		do(e, g.Truth())
	}
}

func ExampleNewGenerator() {
	g, err := NewGenerator(Options{Seed: 1, Start: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), Events: 5000, AttackShare: 0.1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		e, err := g.Next()
		if err == io.EOF {
			break
		}
		if attack := g.Truth(); attack != nil {
			fmt.Println(e.Dataset, attack.Scenario, attack.Tactic, attack.Techniques)
			break
		}
	}
	// Output: zeek.http exercise TA0009 [T1125]
}

// sample is the run whose files are committed.
var sample = Options{Seed: 31, Start: monday, Events: 2000, AttackShare: 0.12}

// The sample's files are the same bytes on every machine and with every version
// of Go. go test -update writes them anew.
func TestSampleIsTheSameEverywhere(t *testing.T) {
	made := t.TempDir()
	writeRun(t, made, sample)
	for _, name := range []string{"raw_packets.csv", "truth.csv"} {
		got, err := os.ReadFile(filepath.Join(made, name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("../../data/sample", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not what the generator makes: go test ./pkg/traffic -run Sample -update", path)
		}
	}
}

// writeRun writes raw_packets.csv and truth.csv of a run into folder.
func writeRun(t testing.TB, folder string, o Options) {
	t.Helper()
	recorder, err := store.NewRecorder(filepath.Join(folder, "raw_packets.csv"), filepath.Join(folder, "truth.csv"))
	if err != nil {
		t.Fatal(err)
	}
	each(t, o, func(e *event.Event, attack *event.Truth) {
		if err := recorder.Record(e, attack); err != nil {
			t.Fatal(err)
		}
	})
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSameOptionsGiveTheSameEvents(t *testing.T) {
	o := Options{Seed: 5, Start: monday, Events: 20000, AttackShare: 0.05}
	var rows []string
	each(t, o, func(e *event.Event, _ *event.Truth) { rows = append(rows, string(event.AppendCSV(nil, e))) })
	i := 0
	each(t, o, func(e *event.Event, _ *event.Truth) {
		if got := string(event.AppendCSV(nil, e)); got != rows[i] {
			t.Fatalf("event %d: %s, then %s", i, rows[i], got)
		}
		i++
	})
	o.Start = monday.In(time.FixedZone("", 3600))
	if e, _ := generator(t, o).Next(); string(event.AppendCSV(nil, e)) != rows[0] {
		t.Error("another zone for the same start gives other events")
	}
}

func TestIDsAreUniqueOverRuns(t *testing.T) {
	seen := map[string]bool{}
	incidents := map[string]Options{}
	for _, o := range []Options{
		{Seed: 1}, {Seed: 2}, {Seed: 1, Start: monday.Add(time.Nanosecond)}, {Seed: 1, AttackShare: 0.2}, {Seed: 1, Events: 2500},
	} {
		o.Events = max(o.Events, 2000)
		o.AttackShare = max(o.AttackShare, 0.1)
		each(t, o, func(e *event.Event, truth *event.Truth) {
			if seen[e.ID] {
				t.Fatalf("%+v: %s came before", o, e.ID)
			}
			seen[e.ID] = true
			if truth == nil {
				return
			}
			if first, ok := incidents[truth.Incident]; ok && first != o {
				t.Fatalf("%+v: incident %s is also of %+v", o, truth.Incident, first)
			}
			incidents[truth.Incident] = o
		})
	}
}

func TestEventsAreValidAndInOrder(t *testing.T) {
	last := monday
	n := 0
	each(t, Options{Seed: 3, Events: 50000, AttackShare: 0.1}, func(e *event.Event, truth *event.Truth) {
		if err := e.Validate(); err != nil {
			t.Fatalf("%+v: %v", e, err)
		}
		if e.Timestamp.Before(last) {
			t.Fatalf("%s is at %s, after one at %s", e.ID, e.Timestamp, last)
		}
		if e.Timestamp.Nanosecond()%1000 != 0 {
			t.Fatalf("%s is at %s, want whole microseconds", e.ID, e.Timestamp)
		}
		if e.Source.IP == e.Destination.IP {
			t.Fatalf("%s talks to itself: %+v", e.ID, e)
		}
		if truth != nil && truth.EventID != e.ID {
			t.Fatalf("the truth of %s names %s", e.ID, truth.EventID)
		}
		last = e.Timestamp
		n++
	})
	if n != 50000 {
		t.Errorf("%d events, want 50000", n)
	}
}

func TestAttackShareIsMet(t *testing.T) {
	for _, c := range []struct {
		events int
		share  float64
	}{{2000, 0}, {2000, 0.1}, {5000, 0.02}, {5000, 0.05}, {20000, 0.3}, {20000, 0.5}, {100000, 0.02}, {300000, 0.05}} {
		for seed := range uint64(3) {
			attacks := 0
			each(t, Options{Seed: seed, Events: c.events, AttackShare: c.share}, func(_ *event.Event, truth *event.Truth) {
				if truth != nil {
					attacks++
				}
			})
			want := float64(c.events) * c.share
			if got := float64(attacks); got < want*0.95-3 || got > want*1.05+20 {
				t.Errorf("%d events, seed %d: %d attack events, want about %.0f", c.events, seed, attacks, want)
			}
		}
	}
}

// Small runs show several techniques, long runs every scenario many times.
func TestScenariosComeInTurn(t *testing.T) {
	for _, c := range []struct {
		events                int
		share                 float64
		techniques, scenarios int
		runs                  int // of each scenario
	}{{5000, 0.02, 6, 2, 0}, {5000, 0.05, 9, 5, 0}, {200000, 0.05, 22, len(scenarios), 3}} {
		for seed := range uint64(3) {
			incidents := map[string]int{}
			techniques, tactics := map[string]bool{}, map[string]bool{}
			runs := map[string]map[string]bool{}
			each(t, Options{Seed: seed, Events: c.events, AttackShare: c.share}, func(_ *event.Event, truth *event.Truth) {
				if truth == nil {
					return
				}
				incidents[truth.Incident]++
				techniques[truth.Techniques[0]] = true
				tactics[truth.Tactic] = true
				if runs[truth.Scenario] == nil {
					runs[truth.Scenario] = map[string]bool{}
				}
				runs[truth.Scenario][truth.Incident] = true
			})
			if len(techniques) < c.techniques || len(runs) < c.scenarios {
				t.Errorf("%d events, seed %d: %d techniques of %d scenarios, want %d of %d", c.events, seed, len(techniques), len(runs), c.techniques, c.scenarios)
			}
			for name, of := range runs {
				if len(of) < c.runs {
					t.Errorf("%d events, seed %d: %d incidents of %s, want %d", c.events, seed, len(of), name, c.runs)
				}
			}
			if runs["exercise"] == nil || runs["intrusion"] == nil {
				t.Errorf("%d events, seed %d: exercise or intrusion is missing", c.events, seed)
			}
			if c.events == 200000 && len(tactics) < 10 {
				t.Errorf("%d tactics, want 10", len(tactics))
			}
		}
	}
}

// What the truth names is in the ATT&CK table, a tactic is one of its
// technique's, and all events of an incident say the same.
func TestTruthIsConsistent(t *testing.T) {
	incidents := map[string]event.Truth{}
	each(t, Options{Seed: 11, Events: 200000, AttackShare: 0.1}, func(e *event.Event, truth *event.Truth) {
		if truth == nil {
			return
		}
		first, ok := incidents[truth.Incident]
		if !ok {
			incidents[truth.Incident] = *truth
			return
		}
		if first.Scenario != truth.Scenario || first.Tactic != truth.Tactic || !slices.Equal(first.Techniques, truth.Techniques) {
			t.Fatalf("%+v and %+v are one incident", first, truth)
		}
	})
	for _, truth := range incidents {
		for _, id := range truth.Techniques {
			technique, err := attack.TechniqueByID(id)
			if err != nil {
				t.Errorf("%s: %v", truth.Incident, err)
			}
			if id == truth.Techniques[0] && !slices.Contains(technique.Tactics, truth.Tactic) {
				t.Errorf("%s: %s has no tactic %s", truth.Incident, id, truth.Tactic)
			}
		}
	}
}

// Benign traffic holds what looks like attacks, in a measure.
func TestBenignIsNotEasy(t *testing.T) {
	seen := map[string]int{}
	datasets := map[string]int{}
	failed, logins, total, inside := 0, 0, 0, 0
	g := each(t, Options{Seed: 8, Events: 200000}, func(e *event.Event, _ *event.Truth) {
		total++
		datasets[e.Dataset]++
		private := e.Destination.IP.IsPrivate() || e.Destination.IP.IsMulticast()
		if private {
			inside++
		}
		note := func(what string, is bool) {
			if is {
				seen[what]++
			}
		}
		note("a gigabyte leaves the house", !private && e.Source.Bytes.Value > 1e9)
		note("files go to a cloud", e.HTTP.Method == "PUT" && e.Source.Bytes.Value > 1e8)
		note("names that do not exist", e.DNS.ResponseCode == "NXDOMAIN")
		note("long names", len(e.DNS.Question) > 50)
		note("TXT records", e.DNS.Type == "TXT")
		note("pages that do not exist", e.HTTP.Status.Value == 404)
		note("connections without an answer", e.Transport == "tcp" && e.ConnState == "S0")
		note("refused connections", e.ConnState == "REJ")
		note("odd ports outside", !private && e.Transport == "tcp" && e.Destination.Port.Value > 1024)
		note("programs fetched without a browser", strings.HasSuffix(e.URL.Path, ".exe"))
		note("FTP", e.Protocol == "ftp")
		note("IPv6", e.Source.IP.Is6())
		if e.Outcome == "failure" {
			failed++
		}
		if e.Category == "authentication" {
			logins++
		}
	})
	for _, what := range []string{"a gigabyte leaves the house", "files go to a cloud", "names that do not exist", "long names", "TXT records",
		"pages that do not exist", "connections without an answer", "refused connections", "odd ports outside", "programs fetched without a browser", "FTP", "IPv6"} {
		if seen[what] < 10 {
			t.Errorf("%s: %d times, want 10", what, seen[what])
		}
	}
	for dataset, part := range map[string][2]int{"zeek.conn": {45, 70}, "zeek.dns": {10, 25}, "zeek.http": {12, 30}, "system.auth": {3, 12}} {
		if percent := datasets[dataset] * 100 / total; percent < part[0] || percent > part[1] {
			t.Errorf("%s: %d %% of the events, want %d to %d", dataset, percent, part[0], part[1])
		}
	}
	if percent := failed * 100 / logins; percent < 4 || percent > 20 {
		t.Errorf("%d %% of the logins failed, want 4 to 20", percent)
	}
	if percent := inside * 100 / total; percent < 30 || percent > 80 {
		t.Errorf("%d %% of the events stay within the house, want 30 to 80", percent)
	}
	if len(g.network.branches) < 2 {
		t.Error("a large company has one branch")
	}
}

// The IT's own scanner can be told from a stranger's without knowing its
// address: it is slow, and most ports it asks for are open.
func TestInventoryIsHonest(t *testing.T) {
	o := Options{Seed: 2, Events: 300000}
	scanner := generator(t, o).network.scanner
	all, closed := 0, 0
	ports := map[time.Time]map[netip.AddrPort]bool{}
	each(t, o, func(e *event.Event, _ *event.Truth) {
		if e.Source.IP != scanner || e.Dataset != "zeek.conn" {
			return
		}
		all++
		if e.ConnState != "SF" {
			closed++
			window := e.Timestamp.Truncate(5 * time.Minute)
			if ports[window] == nil {
				ports[window] = map[netip.AddrPort]bool{}
			}
			ports[window][netip.AddrPortFrom(e.Destination.IP, uint16(e.Destination.Port.Value))] = true
		}
	})
	if all < 1000 || closed*100/all > 15 {
		t.Errorf("%d of %d connections failed, want at most 15 %% of at least 1000", closed, all)
	}
	for window, failed := range ports {
		if len(failed) > 10 {
			t.Errorf("%d ports failed in the five minutes from %s, want at most 10", len(failed), window)
		}
	}
}

func TestMemoryIsFlat(t *testing.T) {
	held := func(events int) uint64 {
		g := each(t, Options{Seed: 1, Events: events, AttackShare: 0.1}, func(*event.Event, *event.Truth) {})
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		runtime.KeepAlive(g)
		return m.HeapAlloc
	}
	small, large := held(30000), held(300000)
	if const8MB := uint64(8 << 20); large > small+const8MB {
		t.Errorf("%d bytes held after 30,000 events, %d after 300,000", small, large)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Start: monday}, "at least 1"},
		{Options{Start: monday, Events: 1, AttackShare: 0.6}, "0 to 0.5"},
		{Options{Start: monday, Events: 1, AttackShare: -0.1}, "0 to 0.5"},
		{Options{Events: 1}, "1970 to 2099"},
		{Options{Start: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), Events: 1}, "1970 to 2099"},
	} {
		if _, err := NewGenerator(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want an error with %q", c.o, err, c.want)
		}
	}
}

func TestTinyRuns(t *testing.T) {
	for events := 1; events < 60; events++ {
		n := 0
		each(t, Options{Seed: uint64(events), Events: events, AttackShare: 0.5}, func(*event.Event, *event.Truth) { n++ })
		if n != events {
			t.Errorf("%d events, want %d", n, events)
		}
	}
}

func BenchmarkGenerator(b *testing.B) {
	g := generator(b, Options{Seed: 1, Events: max(b.N, 100000), AttackShare: 0.02})
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := g.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
