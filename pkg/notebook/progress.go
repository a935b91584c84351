package notebook

import (
	"context"
	"fmt"
	"html"
	"strings"
	"time"

	"soclab/pkg/event"
	"soclab/pkg/human"
)

// Progress shows how far work on events is, and how fast it goes. It is a sink
// for classified events. It is for one goroutine.
type Progress struct {
	what        string
	total, done int
	detections  int
	start       time.Time
	area        *area
}

// NewProgress shows the begin of work such as "classified" on total events; 0
// where their number is not known.
func NewProgress(what string, total int) *Progress {
	p := &Progress{what: what, total: total, start: time.Now(), area: newArea()}
	p.area.show(p)
	return p
}

// Add counts events. It draws at most ten times a second: see Close.
func (p *Progress) Add(events int) {
	p.done += events
	p.area.showSoon(p)
}

// Append counts the events of a classified batch, and the detections among
// them.
func (p *Progress) Append(_ context.Context, batch *event.Batch) error {
	for i := range batch.Records {
		if batch.Records[i].Verdict.Class != event.Benign {
			p.detections++
		}
	}
	p.Add(len(batch.Records))
	return nil
}

// Close draws the end.
func (p *Progress) Close() { p.area.show(p) }

// HTML draws the progress.
func (p *Progress) HTML() HTML {
	elapsed := time.Since(p.start).Seconds()
	parts := []string{human.Count(p.done) + " events " + p.what}
	bar := ""
	if p.total > 0 {
		bar = fmt.Sprintf(`<progress value="%d" max="%d" style="width:16em;vertical-align:middle"></progress> `, min(p.done, p.total), p.total)
		parts = append(parts, human.Count(max(0, p.total-p.done))+" waiting")
	}
	if elapsed > 0.05 && p.done > 0 {
		parts = append(parts, human.Count(int(float64(p.done)/elapsed))+" a second")
	}
	if p.detections > 0 {
		parts = append(parts, human.Count(p.detections)+" detections")
	}
	return HTML(bar + html.EscapeString(strings.Join(parts, " · ")))
}
