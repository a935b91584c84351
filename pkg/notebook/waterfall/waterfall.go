// Package waterfall draws the trace of one event: what happened when, from its
// producer through the queue to its row. It stands apart from package notebook
// because it needs package jaeger, which most cells can do without.
package waterfall

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"time"

	"soclab/internal/drawing"
	"soclab/pkg/human"
	"soclab/pkg/jaeger"
	"soclab/pkg/notebook"
)

// Geometry, in pixels.
const (
	width, right     = 760, 90
	nameWidth        = 200
	row, top, bottom = 26, 62, 40
	wideWait         = 130 // of a wait that is not to scale
	longWait         = 2   // times all else: from there on the axis is broken
	area             = width - nameWidth - right
)

// Draw draws the spans of a trace below each other on one time axis. Where an
// event lay in the queue for long, the axis is broken there, and everything
// else is to scale.
func Draw(trace jaeger.Trace) notebook.HTML {
	d := newPicture(trace)
	height := top + row*len(d.spans) + bottom
	d.SVG = drawing.NewSVG(width, height)
	d.Text(8, 20, "start", `font-size="15" font-weight="bold"`, d.title())
	d.Note(8, 40, "start", "event "+trace.EventID()+" · trace "+trace.ID)
	d.axis(height)
	for i, span := range d.spans {
		d.span(float64(top+row*i), span)
	}
	return notebook.HTML(d.String())
}

type picture struct {
	*drawing.SVG
	spans  []jaeger.Node
	start  time.Time
	total  time.Duration
	wait   time.Duration // the longest wait in the queue
	from   time.Duration // where it begins
	broken bool
	scale  float64 // pixels a nanosecond
}

func newPicture(trace jaeger.Trace) *picture {
	d := &picture{spans: trace.Tree(), start: trace.Start(), total: trace.Duration()}
	for _, span := range d.spans {
		if span.Wait > d.wait {
			d.wait, d.from = span.Wait, span.Start.Add(-span.Wait).Sub(d.start)
		}
	}
	d.total = max(d.total, time.Microsecond)
	d.broken = d.wait > longWait*(d.total-d.wait)
	d.scale = area / float64(d.total)
	if d.broken {
		d.scale = (area - wideWait) / float64(max(d.total-d.wait, time.Microsecond))
	}
	return d
}

// x is where a time after the trace's start is drawn.
func (d *picture) x(t time.Duration) float64 {
	at := float64(t) * d.scale
	if d.broken {
		switch {
		case t >= d.from+d.wait:
			at = float64(t-d.wait)*d.scale + wideWait
		case t > d.from:
			at = float64(d.from)*d.scale + wideWait*float64(t-d.from)/float64(d.wait)
		}
	}
	return nameWidth + at
}

func (d *picture) title() string {
	title := "One event's way took " + human.Duration(d.total)
	if d.wait > 0 {
		title += fmt.Sprintf(", %s of it in the queue", human.Duration(d.wait))
	}
	return title
}

// axis draws round times, and the break.
func (d *picture) axis(height int) {
	step := time.Duration(max(1, drawing.RoundStep(100/d.scale)))
	tick := func(t, shown time.Duration) {
		x := d.x(t)
		d.Add(`<path d="M%.1f %dV%d" stroke="%s"/>`, x, top-6, height-bottom, drawing.Hex(drawing.Pale))
		d.Note(x, float64(height-bottom+18), "middle", human.Duration(shown))
	}
	end := d.total
	if d.broken {
		end = d.from
	}
	for t := time.Duration(0); t <= end; t += step {
		tick(t, t)
	}
	if !d.broken {
		return
	}
	left, after := d.x(d.from), d.from+d.wait
	d.Add(`<path d="M%.1f %dV%d m%d 0V%d" stroke="%s" stroke-dasharray="2 3" fill="none"/>`, left, top-6, height-bottom, wideWait, top-6, drawing.Hex(drawing.Faint))
	d.Note(left+wideWait/2, float64(height-bottom+18), "middle", "// "+human.Duration(d.wait)+" //")
	for t := step; after+t <= d.total; t += step {
		tick(after+t, t)
	}
	d.Note(nameWidth, float64(height-6), "start", "The axis is broken: the wait is not to scale, and time is counted anew after it.")
}

// span draws one span as a bar, with its name to the left, its duration to the
// right, and in front of it the wait in the queue.
func (d *picture) span(y float64, s jaeger.Node) {
	color := drawing.Blue
	if s.Service != "producer" {
		color = drawing.Vermillion
	}
	d.Text(float64(8+14*s.Depth), y+17, "start", "", s.Name)
	from, to := d.x(s.Start.Sub(d.start)), d.x(s.End().Sub(d.start))
	if s.Kind == "consumer" && d.wait > 0 {
		d.Add(`<path d="M%.1f %.1fH%.1f" stroke="%s" stroke-width="2" stroke-dasharray="5 3"/>`, d.x(d.from), y+13, from, drawing.Hex(drawing.Grey))
		d.Note((d.x(d.from)+from)/2, y+9, "middle", "in the queue")
	}
	d.Add(`<rect x="%.1f" y="%.1f" width="%.1f" height="14" rx="2" fill="%s"><title>%s</title></rect>`,
		from, y+6, max(to-from, 2), drawing.Hex(color), html.EscapeString(attributes(s.Span)))
	d.Text(max(to, from+2)+5, y+17, "start", "", human.Duration(s.Duration))
}

// attributes are shown where the mouse rests on a span.
func attributes(s jaeger.Span) string {
	lines := []string{s.Service + " " + s.Name}
	for key, value := range s.Attributes {
		lines = append(lines, key+": "+value)
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}
