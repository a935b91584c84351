package stats

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gonum.org/v1/plot/vg"

	"soclab/pkg/event"
)

// attackDay is half an hour of traffic with ten incidents, one of them an
// exercise that nobody finds, and some false alarms.
func attackDay(t *testing.T) (*Summary, *Scores) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	var rows []classified
	add := func(second float64, host int, v event.Verdict) string {
		row := rowAt(0, 0, int64(len(rows)), fmt.Sprintf("172.16.0.%d", host), v)
		row.Timestamp = start.Add(time.Duration(second * float64(time.Second)))
		row.created = row.Timestamp
		row.ingested = row.created.Add(time.Duration(3e6 + 3e7*random.ExpFloat64()))
		rows = append(rows, row)
		return row.ID
	}
	for i := range 6000 {
		v := benign
		if i%500 == 499 {
			v = []event.Verdict{portScan, beacon, lateral}[i/500%3]
		}
		add(0.3*float64(i), int(random.ExpFloat64()*20)%250, v)
	}
	truth := truthHeader
	for i, step := range []struct {
		scenario  string
		detection event.Verdict
		from, n   int
		host      int
	}{
		{"port-scan", portScan, 200, 60, 7},
		{"brute-force", bruteForce, 300, 50, 7},
		{"lateral-movement", lateral, 420, 12, 7},
		{"exfiltration", exfil, 500, 9, 7},
		{"c2-beacon", beacon, 600, 80, 201},
		{"dns-tunnel", tunnel, 700, 40, 202},
		{"port-scan", portScan, 1000, 50, 9},
		{"web-exploit", exploit, 1100, 20, 12},
		{"flood", flood, 1300, 100, 9},
		{"exercise", event.Verdict{Class: event.Benign, Technique: event.Threat{ID: "T1048.003"}}, 1200, 20, 14},
	} {
		for j := range step.n {
			v := step.detection
			if v.Class == event.Benign || j%6 == 5 {
				v = benign
			} else if j%15 == 14 {
				v = tunnel
			}
			id := add(float64(step.from+j), step.host, v)
			truth += fmt.Sprintf("%s,i%d,%s,,%s\n", id, i, step.scenario, step.detection.Technique.ID)
		}
	}
	file := write(t, csvFile(rows...))
	scores, err := Compare(t.Context(), write(t, truth), file)
	if err != nil {
		t.Fatal(err)
	}
	return scores.Summary, scores
}

// manyTechniques is a log whose names are long and many.
func manyTechniques(t *testing.T) *Summary {
	t.Helper()
	var rows []classified
	for i := range 2000 {
		tactic := fmt.Sprintf("TA00%02d", 1+i%9)
		v := detection(fmt.Sprintf("A Rule Whose Title Is so Long That No Reader of the Plot Would Like to See All of It, Number %d", i%37),
			fmt.Sprint("r", i%37), "low", tactic, "Tactic of a Long Name "+tactic, fmt.Sprintf("T12%02d.001", i%37), "A Technique With a Name of Many Words")
		rows = append(rows, rowAt(40*i, 0, int64(i), fmt.Sprintf("2001:db8:1234:5678:9abc:def0:1234:%x", 0x1000+i%53), v))
	}
	return summarize(t, csvFile(rows...))
}

func TestTitlesSayTheFinding(t *testing.T) {
	s, scores := attackDay(t)
	for _, test := range []struct {
		figure func() (*Figure, error)
		want   string
	}{
		{func() (*Figure, error) { return PlotClasses(s) }, "5.7 % of 6,441 events matched a rule"},
		{func() (*Figure, error) { return PlotTactics(s) }, "Command and Control leads: 115 of 366 detections"},
		{func() (*Figure, error) { return PlotTechniques(s) }, "Network Service Discovery (T1046) is most frequent: 92 of 366 detections"},
		{func() (*Figure, error) { return PlotTimeline(s) }, "Detections peak at 12:17:00 on 1 March: 26 in 30 seconds"},
		{func() (*Figure, error) { return PlotSources(s) }, "172.16.0.9 is the busiest source: 353 of 6,441 events"},
		{func() (*Figure, error) { return PlotHeatmap(s) }, "172.16.0.9 leads: 127 detections of 3 techniques"},
		{func() (*Figure, error) { return PlotLatency(s) }, ""},
		{func() (*Figure, error) { return PlotConfusion(scores) }, "341 of 366 labels right, 9 of 9 incidents found"},
	} {
		f, err := test.figure()
		if err != nil {
			t.Fatal(err)
		}
		if test.want != "" && f.Title != test.want {
			t.Errorf("title %q: want %q", f.Title, test.want)
		}
	}
}

// Nothing may be cut off: the rim of each picture, half its margin wide, is
// white.
func TestNothingIsCutOff(t *testing.T) {
	day, scores := attackDay(t)
	one := summarize(t, csvFile(rowAt(0, 0, 0, "10.0.0.1", portScan)))
	for name, s := range map[string]*Summary{"day": day, "one event": one, "many techniques": manyTechniques(t)} {
		plots := 0
		for plot, f := range figures(s, scores) {
			const coarse = 72
			if at, ok := whiteRim(f.draw(coarse).Image(), int(margin/2/vg.Inch*coarse)); !ok {
				t.Errorf("%s: %s has ink at %v, in its rim", name, plot, at)
			}
			plots++
		}
		if plots != 8 {
			t.Errorf("%s: %d plots: want 8", name, plots)
		}
	}
}

func whiteRim(picture image.Image, width int) (image.Point, bool) {
	bounds := picture.Bounds()
	inside := bounds.Inset(width)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			if image.Pt(x, y).In(inside) {
				x = inside.Max.X - 1
				continue
			}
			if color.NRGBAModel.Convert(picture.At(x, y)) != (color.NRGBA{255, 255, 255, 255}) {
				return image.Pt(x, y), false
			}
		}
	}
	return image.Point{}, true
}

func TestPlotsOfNothing(t *testing.T) {
	empty := summarize(t, csvFile())
	quiet := summarize(t, csvFile(rowAt(0, 0, 0, "10.0.0.1", benign)))
	for _, test := range []struct {
		name string
		plot func(*Summary) (*Figure, error)
		of   []*Summary
	}{
		{"classes", PlotClasses, []*Summary{empty, {}}},
		{"tactics", PlotTactics, []*Summary{empty, quiet, {}}},
		{"techniques", PlotTechniques, []*Summary{empty, quiet, {}}},
		{"timeline", PlotTimeline, []*Summary{empty, {}}},
		{"sources", PlotSources, []*Summary{empty, {}}},
		{"heatmap", PlotHeatmap, []*Summary{empty, quiet, {}}},
		{"latency", PlotLatency, []*Summary{empty, {}}},
	} {
		for _, s := range test.of {
			if _, err := test.plot(s); !errors.Is(err, ErrNoData) {
				t.Errorf("%s: error %v: want %v", test.name, err, ErrNoData)
			}
		}
	}
	if _, err := PlotConfusion(&Scores{}); !errors.Is(err, ErrNoData) {
		t.Errorf("confusion: error %v: want %v", err, ErrNoData)
	}
}

func TestSavePlots(t *testing.T) {
	quiet := summarize(t, csvFile(rowAt(0, 0, 0, "10.0.0.1", benign)))
	folder := filepath.Join(t.TempDir(), "new", "plots")
	paths, err := SavePlots(folder, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		names = append(names, filepath.Base(path))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := png.DecodeConfig(bytes.NewReader(data)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if want := []string{"classes.png", "timeline.png", "sources.png", "latency.png"}; !slices.Equal(names, want) {
		t.Errorf("plots of a quiet log: %v, want %v", names, want)
	}
}

func TestTicks(t *testing.T) {
	for most, want := range map[int][]string{
		0: {"0", "1"}, 1: {"0", "1"}, 4: {"0", "1", "2", "3", "4"}, 43: {"0", "10", "20", "30", "40"},
		280: {"0", "100", "200"}, 12_000: {"0", "5,000", "10,000"},
	} {
		var labels []string
		for _, tick := range countTicks(most) {
			labels = append(labels, tick.Label)
		}
		if !slices.Equal(labels, want) {
			t.Errorf("ticks up to %d: %v, want %v", most, labels, want)
		}
	}
	for span, want := range map[time.Duration][]string{
		8 * time.Second:      {"12:00:00\n1 Mar", "12:00:01\n ", "12:00:02\n ", "12:00:03\n ", "12:00:04\n ", "12:00:05\n ", "12:00:06\n ", "12:00:07\n ", "12:00:08\n "},
		24 * time.Hour:       {"12:00\n1 Mar", "15:00\n ", "18:00\n ", "21:00\n ", "00:00\n2 Mar", "03:00\n ", "06:00\n ", "09:00\n ", "12:00\n "},
		5 * 24 * time.Hour:   {"2 Mar\n2026", "3 Mar\n ", "4 Mar\n ", "5 Mar\n ", "6 Mar\n "},
		730 * 24 * time.Hour: {"22 Oct\n2026", "21 Oct\n2027"},
	} {
		var labels []string
		for _, tick := range timeTicks(start, start.Add(span)) {
			labels = append(labels, tick.Label)
		}
		if !slices.Equal(labels, want) {
			t.Errorf("ticks over %v: %q, want %q", span, labels, want)
		}
	}
}

func BenchmarkPNG(b *testing.B) {
	f, err := PlotTactics(&Summary{Detected: 3, ByTactic: []Tactic{{"TA0007", "Discovery", 2, 0}, {"TA0040", "Impact", 1, 0}}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.PNG(); err != nil {
			b.Fatal(err)
		}
	}
}
