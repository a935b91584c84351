package stats

import (
	"cmp"
	"fmt"
	"image/color"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"soclab/internal/drawing"
	"soclab/pkg/event"
	"soclab/pkg/human"
)

const (
	mostBars    = 20 // in a bar chart
	mostBins    = 60 // in a timeline
	mostSources = 15 // in bar charts and heat maps of sources
)

// outcomes explains the bars of all events.
var outcomes = []swatch{{"detected", drawing.Vermillion}, {"benign", drawing.Grey}}

// SavePlots draws all figures that s has data for, and the confusion matrix if
// scores is not nil, as PNG files in a folder, which it makes if it must. It
// returns the files' paths.
func SavePlots(folder string, s *Summary, scores *Scores) (paths []string, err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("save plots: %w", err)
	}
	for name, f := range figures(s, scores) {
		png, err := f.PNG()
		if err != nil {
			return paths, err
		}
		path := filepath.Join(folder, name+".png")
		if err := os.WriteFile(path, png, 0o644); err != nil {
			return paths, fmt.Errorf("save plots: %w", err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// figures yields what there is data for, by the name of its file.
func figures(s *Summary, scores *Scores) iter.Seq2[string, *Figure] {
	return func(yield func(string, *Figure) bool) {
		for _, figure := range []struct {
			name string
			plot func(*Summary) (*Figure, error)
		}{
			{"classes", PlotClasses},
			{"tactics", PlotTactics},
			{"techniques", PlotTechniques},
			{"timeline", PlotTimeline},
			{"sources", PlotSources},
			{"heatmap", PlotHeatmap},
			{"latency", PlotLatency},
			{"confusion", func(*Summary) (*Figure, error) { return PlotConfusion(scores) }},
		} {
			// ErrNoData is the only error.
			if f, err := figure.plot(s); err == nil && !yield(figure.name, f) {
				return
			}
		}
	}
}

// PlotClasses shows how much was detected, and below, on a scale of its own,
// as what: benign events would leave nothing of the other bars.
func PlotClasses(s *Summary) (*Figure, error) {
	if s.Events == 0 {
		return nil, ErrNoData
	}
	f := &Figure{
		Title:    fmt.Sprintf("%s of %s matched a rule", detectedShare(s), human.Counted(s.Events, "event")),
		Subtitle: "Class distribution: events by the rule that won",
		panels: []panel{barPanel("All events", []bar{
			{"benign", []part{{float64(s.Benign), drawing.Grey}}, human.Count(s.Benign)},
			{"detected", []part{{float64(s.Detected), drawing.Vermillion}}, human.Count(s.Detected)},
		})},
	}
	var bars []bar
	for _, c := range s.ByClass {
		if c.Class != event.Benign {
			bars = append(bars, countBar(c.Class, c.Events, s.Detected, drawing.Vermillion))
		}
	}
	if len(bars) > 0 {
		f.panels = append(f.panels, barPanel("Detections by class, on a scale of their own", top(bars, s.Detected)))
	}
	return f, nil
}

func detectedShare(s *Summary) string {
	switch {
	case s.Detected == 0:
		return "None"
	case 1000*s.Detected < s.Events:
		return human.Count(s.Detected)
	}
	return fmt.Sprintf("%.1f %%", 100*share(s.Detected, s.Events))
}

// outOf says how many of all are meant: 3 of 1,200 events.
func outOf(n, all int, noun string) string { return human.Count(n) + " of " + human.Counted(all, noun) }

func countBar(name string, n, all int, c color.Color) bar {
	value := human.Count(n)
	if n > 0 {
		value += fmt.Sprintf(" (%.0f %%)", 100*share(n, all))
	}
	return bar{name, []part{{float64(n), c}}, value}
}

// top joins what does not fit into a bar chart.
func top(bars []bar, all int) []bar {
	if len(bars) <= mostBars {
		return bars
	}
	rest := 0.0
	for _, b := range bars[mostBars-1:] {
		rest += b.parts[0].length
	}
	others := countBar(fmt.Sprintf("%d others", len(bars)-mostBars+1), int(rest), all, drawing.Grey)
	return append(bars[:mostBars-1:mostBars-1], others)
}

// PlotTactics shows the detections of each tactic in the order of the ATT&CK
// matrix, also of those that were not seen.
func PlotTactics(s *Summary) (*Figure, error) {
	var bars []bar
	var leader Tactic
	for _, t := range s.ByTactic {
		bars = append(bars, countBar(t.Name, t.Events, s.Detected, drawing.Blue))
		if t.Events > leader.Events {
			leader = t
		}
	}
	if leader.Events == 0 {
		return nil, ErrNoData
	}
	title := fmt.Sprintf("%s leads: %s", leader.Name, outOf(leader.Events, s.Detected, "detection"))
	subtitle := "Detections by tactic, in the order of the ATT&CK matrix (version " + s.Attack + ")"
	return &Figure{title, subtitle, []panel{barPanel("", bars)}}, nil
}

// PlotTechniques shows the detections of each technique, the most frequent
// first.
func PlotTechniques(s *Summary) (*Figure, error) {
	if len(s.ByTechnique) == 0 {
		return nil, ErrNoData
	}
	var bars []bar
	for _, t := range s.ByTechnique {
		bars = append(bars, countBar(t.ID+"  "+t.Name, t.Events, s.Detected, drawing.Blue))
	}
	first := s.ByTechnique[0]
	title := fmt.Sprintf("%s (%s) is most frequent: %s", first.Name, first.ID, outOf(first.Events, s.Detected, "detection"))
	return &Figure{title, "Detections by ATT&CK technique", []panel{barPanel("", top(bars, s.Detected))}}, nil
}

// PlotSources shows the sources with most events, and what of them was
// detected.
func PlotSources(s *Summary) (*Figure, error) {
	if len(s.BySource) == 0 {
		return nil, ErrNoData
	}
	var bars []bar
	for _, source := range s.BySource[:min(mostSources, len(s.BySource))] {
		value := human.Count(source.Events)
		if source.Detected > 0 {
			value += fmt.Sprintf(" (%s detected)", human.Count(source.Detected))
		}
		bars = append(bars, bar{source.IP, []part{
			{float64(source.Detected), drawing.Vermillion},
			{float64(source.Events - source.Detected), drawing.Grey},
		}, value})
	}
	shown := barPanel("Events by source", bars)
	shown.legend = outcomes
	first := s.BySource[0]
	title := fmt.Sprintf("%s is the busiest source: %s", first.IP, outOf(first.Events, s.Events, "event"))
	subtitle := fmt.Sprintf("Top talkers: the %s with most events", human.Counted(len(bars), "source"))
	return &Figure{title, subtitle, []panel{shown}}, nil
}

// PlotTimeline shows all events over event time, and below, on a scale of
// their own, the detections by tactic.
func PlotTimeline(s *Summary) (*Figure, error) {
	if s.timeline == nil || s.Events == 0 {
		return nil, ErrNoData
	}
	bins, width := s.timeline.span(mostBins)
	leaders, legend := s.tacticColors()
	var events, detections boxes
	var most, peak int
	var peakAt time.Time
	for _, b := range bins {
		left, gap := float64(b.start), 0.08*width.Seconds()
		right := left + width.Seconds()
		stack := func(on *boxes, base, n int, c color.Color) int {
			if n > 0 {
				*on = append(*on, box{left + gap, right - gap, float64(base), float64(base + n), c})
			}
			return base + n
		}
		sum := stack(&events, 0, b.detected, drawing.Vermillion)
		most = max(most, stack(&events, sum, b.benign, drawing.Grey))
		sum = 0
		for i, id := range leaders {
			if n := b.tactics[id]; n != nil {
				sum = stack(&detections, sum, *n, legend[i].color)
			}
		}
		stack(&detections, sum, b.detected-sum, drawing.Grey)
		if b.detected > peak {
			peak, peakAt = b.detected, b.from()
		}
	}
	first, last := bins[0].from(), bins[len(bins)-1].from().Add(width)
	f := &Figure{
		Title:    fmt.Sprintf("%s in %s, none detected", human.Counted(s.Events, "event"), human.Duration(s.Last.Sub(s.First))),
		Subtitle: fmt.Sprintf("Events per %s of event time (UTC), %s", strings.TrimPrefix(binText(width), "one "), dateText(s)),
		panels:   []panel{{heading: "All events", legend: outcomes, height: 120, Plot: timePlot(events, first, last, most)}},
	}
	if peak > 0 {
		clock := "15:04"
		if width < time.Minute {
			clock = "15:04:05"
		}
		f.Title = fmt.Sprintf("Detections peak at %s: %s in %s", peakAt.Format(clock+" on 2 January"), human.Count(peak), binText(width))
		byTactic := timePlot(detections, first, last, peak)
		f.panels = append(f.panels, panel{heading: "Detections by tactic", legend: legend, height: 150, Plot: byTactic})
	}
	return f, nil
}

// tacticColors gives the most frequent tactics a colour each, in the order of
// the matrix: their ids, and a legend which also has what the others share.
func (s *Summary) tacticColors() (ids []string, legend []swatch) {
	palette := []color.Color{drawing.Blue, drawing.Orange, drawing.Green, drawing.Purple, drawing.SkyBlue}
	leaders := slices.Clone(s.ByTactic)
	slices.SortStableFunc(leaders, func(a, b Tactic) int { return cmp.Compare(b.Events, a.Events) })
	leaders = leaders[:min(len(palette), len(leaders))]
	others := s.Detected
	for _, t := range s.ByTactic {
		if t.Events > 0 && slices.Contains(leaders, t) {
			legend = append(legend, swatch{t.Name, palette[len(ids)]})
			ids = append(ids, t.ID)
			others -= t.Events
		}
	}
	if others > 0 {
		legend = append(legend, swatch{"other", drawing.Grey})
	}
	return ids, legend
}

func timePlot(b boxes, first, last time.Time, most int) *plot.Plot {
	p := countPlot(b, most)
	p.X.Min, p.X.Max = float64(first.Unix()), float64(last.Unix())
	p.X.Tick.Marker = plot.ConstantTicks(timeTicks(first, last))
	return p
}

// countPlot draws bars from zero to most at most.
func countPlot(bars boxes, most int) *plot.Plot {
	p := newPlot()
	p.Add(&plotter.Grid{Horizontal: draw.LineStyle{Color: drawing.Pale, Width: 0.5}}, bars)
	p.Y.Min, p.Y.Max = 0, 1.04*float64(max(most, 1))
	p.Y.Tick.Marker = plot.ConstantTicks(countTicks(most))
	p.Y.Padding = 4
	p.X.Tick.Length = 3
	p.X.Tick.Label.Color, p.Y.Tick.Label.Color = drawing.Faint, drawing.Faint
	line := draw.LineStyle{Color: drawing.Faint, Width: 0.5}
	p.X.LineStyle, p.X.Tick.LineStyle = line, line
	return p
}

// countTicks are zero and up to four round numbers.
func countTicks(most int) []plot.Tick {
	step := int(max(1, drawing.RoundStep(float64(most+1)/5)))
	var ticks []plot.Tick
	for n := 0; n <= max(most, 1); n += step {
		ticks = append(ticks, plot.Tick{Value: float64(n), Label: human.Count(n)})
	}
	return ticks
}

// timeTicks are at most ten round times; a second line says the day (or the
// year of days), at the first tick and wherever it changes.
func timeTicks(first, last time.Time) []plot.Tick {
	span := last.Unix() - first.Unix()
	var step int64
	for _, step = range shownWidths {
		if span/step < 10 {
			break
		}
	}
	format, second := "15:04", "2 Jan"
	switch {
	case step < minute:
		format = "15:04:05"
	case step >= day:
		format, second = "2 Jan", "2006"
	}
	var ticks []plot.Tick
	shown := ""
	for at := floor(first.Unix()+step-1, step); at <= last.Unix(); at += step {
		when := time.Unix(at, 0).UTC()
		label := when.Format(format)
		if date := when.Format(second); date != shown {
			label += "\n" + date
			shown = date
		}
		ticks = append(ticks, plot.Tick{Value: float64(at), Label: label})
	}
	return levelled(ticks)
}

// levelled gives all labels the same number of lines: gonum would not begin
// them at the same height.
func levelled(ticks []plot.Tick) []plot.Tick {
	lines := 0
	for _, t := range ticks {
		lines = max(lines, strings.Count(t.Label, "\n"))
	}
	for i := range ticks {
		ticks[i].Label += strings.Repeat("\n ", lines-strings.Count(ticks[i].Label, "\n"))
	}
	return ticks
}

// binText is the width of a bin in words: second, 30 minutes.
func binText(d time.Duration) string {
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		if d%unit.size == 0 {
			if d == unit.size {
				return "one " + unit.name
			}
			return human.Counted(int(d/unit.size), unit.name)
		}
	}
	return d.String()
}

// dateText is the day of the events, or the first and the last.
func dateText(s *Summary) string {
	const layout = "2 January 2006"
	first, last := s.First.Format(layout), s.Last.Format(layout)
	if first == last {
		return first
	}
	return first + " to " + last
}

// PlotLatency shows how long events took from Kafka to their row, on a
// logarithmic scale of time.
func PlotLatency(s *Summary) (*Figure, error) {
	if s.latency == nil || s.latency.total == 0 {
		return nil, ErrNoData
	}
	const joined = 4 // buckets in a bar: ten bars for each decade
	counts := s.latency.counts
	from, to, most := len(counts), 0, 0
	var bars boxes
	for i := 0; i < len(counts); i += joined {
		n := 0
		for _, c := range counts[i : i+joined] {
			n += c
		}
		if n == 0 {
			continue
		}
		from, to, most = min(from, i), i+joined, max(most, n)
		bars = append(bars, box{decades(i) + 0.005, decades(i+joined) - 0.005, 0, float64(n), drawing.Blue})
	}
	p := countPlot(bars, most)
	p.Y.Max *= 1.25 // room for the marks
	low, high := decades(from), decades(to)
	if high-low < 1 { // a decade at least
		low, high = (low+high-1)/2, (low+high+1)/2
	}
	p.X.Min, p.X.Max = low, high
	p.X.Tick.Marker = plot.ConstantTicks(latencyTicks(low, high))

	w := s.Waiting
	half, nearlyAll := human.Duration(w.P50), human.Duration(w.P99)
	p.Add(marks{{log10(w.P50), "half within " + half}, {log10(w.P99), "99 % within " + nearlyAll}})
	title := fmt.Sprintf("Half of the events were stored within %s, 99 %% within %s", half, nearlyAll)
	subtitle := "Events by the time from Kafka's record to the stored row: queue, classification and write (logarithmic scale)"
	return &Figure{title, subtitle, []panel{{height: 190, Plot: p}}}, nil
}

func log10(d time.Duration) float64 { return math.Log10(float64(max(d, 1))) }

// latencyTicks are powers of ten, counted in the units that people use: seconds,
// minutes, hours.
func latencyTicks(low, high float64) (ticks []plot.Tick) {
	steps := []time.Duration{1}
	if high-low < 2 {
		steps = []time.Duration{1, 2, 5}
	}
	for _, unit := range []struct{ first, last time.Duration }{
		{1, 10 * time.Second}, {time.Minute, 10 * time.Minute}, {time.Hour, 100_000 * time.Hour},
	} {
		for power := unit.first; power <= unit.last; power *= 10 {
			for _, step := range steps {
				if at := log10(step * power); low <= at && at <= high {
					ticks = append(ticks, plot.Tick{Value: at, Label: human.Duration(step * power)})
				}
			}
		}
	}
	return ticks
}

// marks are named vertical lines from left to right. Each name stands a line
// lower than the one before: the first to the left of its line and the others
// to the right, as far as there is room.
type marks []struct {
	x    float64
	name string
}

func (m marks) Plot(c draw.Canvas, p *plot.Plot) {
	const gap, line = vg.Length(4), vg.Length(14)
	x, _ := p.Transforms(&c)
	dashes := draw.LineStyle{Color: drawing.Vermillion, Width: 1, Dashes: []vg.Length{3, 2}}
	for i, mark := range m {
		c.StrokeLine2(dashes, x(mark.x), c.Min.Y, x(mark.x), c.Max.Y-vg.Length(i)*line)
	}
	style := sans(9, drawing.Vermillion)
	style.YAlign = draw.YTop
	for i, mark := range m {
		width := style.Width(mark.name)
		right, left := x(mark.x)+gap, x(mark.x)-gap-width
		at := vg.Point{X: right, Y: c.Max.Y - vg.Length(i)*line}
		if i == 0 && left >= c.Min.X || right+width > c.Max.X {
			at.X = left
		}
		behind := vg.Rectangle{Min: vg.Point{X: at.X, Y: at.Y - line + 2}, Max: vg.Point{X: at.X + width, Y: at.Y}}
		c.SetColor(drawing.White) // where another mark's line crosses
		c.Fill(behind.Path())
		c.FillText(style, at, mark.name)
	}
}
