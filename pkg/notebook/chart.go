package notebook

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"soclab/internal/drawing"
	"soclab/pkg/human"
)

// Chart is a line chart that is drawn while its numbers come in. A drawing takes
// well under a millisecond, and cells that measure need not link a plotting
// library for it. It is for one goroutine.
type Chart struct {
	title, x, y string
	lines       []*chartLine
	marks       []chartMark
	area        *area
}

type chartLine struct {
	name   string
	points [][2]float64
}

type chartMark struct {
	x    float64
	text string
}

// palette colours the lines in their order.
var palette = []color.NRGBA{drawing.Blue, drawing.Vermillion, drawing.Green, drawing.Purple, drawing.Orange, drawing.SkyBlue}

// NewChart begins a chart at the end of the output. Its title says what is to be
// seen in it; x and y say what is on the axes, with units.
func NewChart(title, x, y string) *Chart {
	return &Chart{title: title, x: x, y: y, area: newArea()}
}

// Add adds a point to a line, which it begins if there is none of that name.
// Points are joined in the order in which they come. The chart is drawn at most
// ten times a second: see Close.
func (c *Chart) Add(line string, x, y float64) {
	at := slices.IndexFunc(c.lines, func(l *chartLine) bool { return l.name == line })
	if at < 0 {
		at = len(c.lines)
		c.lines = append(c.lines, &chartLine{name: line})
	}
	c.lines[at].points = append(c.lines[at].points, [2]float64{x, y})
	c.area.showSoon(c)
}

// Mark marks a moment: what happened at x.
func (c *Chart) Mark(x float64, what string) { c.marks = append(c.marks, chartMark{x, what}) }

// Close draws the chart as it is now.
func (c *Chart) Close() { c.area.show(c) }

// HTML draws the chart. Both axes begin at zero.
func (c *Chart) HTML() HTML {
	const (
		width, height            = 720, 300
		left, right, top, bottom = 60, 140, 56, 44
	)
	var xMax, yMax float64
	for _, l := range c.lines {
		for _, p := range l.points {
			xMax, yMax = max(xMax, p[0]), max(yMax, p[1])
		}
	}
	xTicks, _ := ticks(xMax, 7)
	yTicks, yMax := ticks(yMax, 5)
	xMax = max(xMax, xTicks[1])
	x := func(v float64) float64 { return left + v/xMax*(width-left-right) }
	y := func(v float64) float64 { return height - bottom - v/yMax*(height-top-bottom) }

	svg := drawing.NewSVG(width, height)
	svg.Text(8, 20, "start", `font-size="15" font-weight="bold"`, c.title)
	svg.Note(8, 42, "start", c.y)
	svg.Note(width-right, height-8, "end", c.x)
	for _, v := range yTicks {
		svg.Add(`<path d="M%d %.1fH%d" stroke="%s"/>`, left, y(v), width-right, drawing.Hex(drawing.Pale))
		svg.Text(left-6, y(v)+4, "end", "", tickText(v))
	}
	for _, v := range xTicks {
		if v > xMax {
			break
		}
		svg.Text(x(v), height-bottom+18, "middle", "", tickText(v))
	}
	for i, m := range c.marks {
		svg.Add(`<path d="M%.1f %dV%d" stroke="%s" stroke-dasharray="3 3"/>`, x(m.x), top-4, height-bottom, drawing.Hex(drawing.Faint))
		svg.Note(x(m.x)+4, float64(top+8+14*(i%3)), "start", m.text)
	}
	var ends []float64 // of the labels at the lines' ends, kept apart
	for i, l := range c.lines {
		color := drawing.Hex(palette[i%len(palette)])
		var path strings.Builder
		for _, p := range l.points {
			fmt.Fprintf(&path, "%.1f,%.1f ", x(p[0]), y(p[1]))
		}
		svg.Add(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2" stroke-linejoin="round"/>`, path.String(), color)
		last := l.points[len(l.points)-1]
		at := y(last[1]) + 4
		for i := 0; i < len(ends); i++ {
			if math.Abs(ends[i]-at) < 14 {
				at, i = ends[i]-14, -1 // and look at all again
			}
		}
		ends = append(ends, at)
		svg.Text(min(x(last[0]), width-right)+6, at, "start", fmt.Sprintf(`fill="%s" font-weight="bold"`, color), l.name)
	}
	return HTML(svg.String())
}

// ticks are round numbers from 0 on that cover limit in at most n steps, and
// the end of an axis that has them.
func ticks(limit float64, n int) (values []float64, end float64) {
	if limit <= 0 {
		limit = 1
	}
	step := drawing.RoundStep(limit / float64(n))
	for i := 0; ; i++ {
		v := step * float64(i)
		values = append(values, v)
		if v >= limit*(1-1e-9) {
			return values, v
		}
	}
}

func tickText(v float64) string {
	if v == math.Trunc(v) {
		return human.Count(int64(v))
	}
	return fmt.Sprintf("%g", math.Round(v*1e6)/1e6)
}
