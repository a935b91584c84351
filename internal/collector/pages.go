package collector

import (
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"soclab/internal/page"
	"soclab/pkg/jaeger"
)

//go:embed pages/search.html
var searchPage string

//go:embed pages/trace.html
var tracePage string

var site = page.NewSite("soclab traces", "A plain view of the embedded trace collector. The compose stack has the real Jaeger at this address.",
	map[string]string{"search": searchPage, "trace": tracePage})

// tree is the trace as a client of the query API sees it.
func (t jaegerTrace) tree() jaeger.Trace {
	trace := jaeger.Trace{ID: t.TraceID}
	for _, s := range t.Spans {
		span := jaeger.Span{
			ID:         s.SpanID,
			Service:    t.Processes[s.ProcessID].ServiceName,
			Name:       s.OperationName,
			Start:      time.UnixMicro(s.StartTime),
			Duration:   time.Duration(s.Duration) * time.Microsecond,
			Attributes: make(map[string]string, len(s.Tags)),
		}
		for _, ref := range s.References {
			if ref.RefType == "CHILD_OF" {
				span.ParentID = ref.SpanID
			}
		}
		for _, tag := range s.Tags {
			if tag.Key == "span.kind" {
				span.Kind = tag.Text()
			}
			span.Attributes[tag.Key] = tag.Text()
		}
		trace.Spans = append(trace.Spans, span)
	}
	return trace
}

// showSearch is Jaeger's search page: the form, and what it finds. Without a
// service it lists the newest traces of all.
func (c *Collector) showSearch(w http.ResponseWriter, r *http.Request) {
	form := r.URL.Query()
	type row struct {
		jaeger.Trace
		Root     jaeger.Span
		Services string
		Percent  float64 // of the longest trace shown
	}
	data := struct {
		Form                 url.Values
		Services, Operations []string
		Lookbacks            [][2]string // value and what it says
		Limits               []string
		Error                error
		Rows                 []row
	}{
		Form: form, Services: c.services(), Operations: c.operationNames(form.Get("service")),
		Lookbacks: [][2]string{{"1h", "hour"}, {"24h", "day"}, {"168h", "week"}, {"720h", "30 days"}},
		Limits:    []string{"20", "100", "500"},
	}
	if form.Get("limit") == "" {
		form.Set("limit", "20")
	}
	if form.Get("lookback") == "" {
		form.Set("lookback", "720h")
	}
	s, err := parseSearch(form, time.Now())
	status := http.StatusOK
	if err != nil {
		data.Error, status = err, http.StatusBadRequest
	} else {
		var longest time.Duration
		for _, found := range c.search(s) {
			trace := found.tree()
			services := make(map[string]bool)
			for _, span := range trace.Spans {
				services[span.Service] = true
			}
			row := row{Trace: trace, Root: trace.Tree()[0].Span, Services: strings.Join(slices.Sorted(maps.Keys(services)), ", ")}
			longest = max(longest, trace.Duration())
			data.Rows = append(data.Rows, row)
		}
		for i := range data.Rows {
			data.Rows[i].Percent = 100 * float64(data.Rows[i].Duration()) / float64(max(1, longest))
		}
	}
	site.Write(w, status, "search", "Traces", data)
}

// showTrace is Jaeger's page of one trace: a waterfall of its spans.
func (c *Collector) showTrace(w http.ResponseWriter, r *http.Request) {
	id, err := parseTraceID(r.PathValue("id"))
	if err != nil {
		site.Fail(w, http.StatusBadRequest, "Not a trace id", err.Error())
		return
	}
	found, ok := c.trace(id)
	if !ok {
		site.Fail(w, http.StatusNotFound, "Trace not found",
			fmt.Sprintf("Trace %s is not held here. It may not have been sampled, not have arrived yet, or be so old that it was dropped.", r.PathValue("id")))
		return
	}
	type row struct {
		jaeger.Node
		jaegerSpan
		Process jaegerProcess
		Indent  int // at most 5
		Offset  time.Duration
		Color   int
		// Where the bar begins and how long it is, in percent of the trace.
		Left, Width float64
	}
	trace := found.tree()
	byID := make(map[string]jaegerSpan, len(found.Spans))
	for _, span := range found.Spans {
		byID[span.SpanID] = span
	}
	var rows []row
	colors := make(map[string]int) // by service, in order of appearance
	start, whole := trace.Start(), float64(max(1, trace.Duration()))
	for _, span := range trace.Tree() {
		color, known := colors[span.Service]
		if !known {
			color = len(colors) % 6
			colors[span.Service] = color
		}
		rows = append(rows, row{
			Node: span, jaegerSpan: byID[span.ID], Process: found.Processes[byID[span.ID].ProcessID],
			Indent: min(span.Depth, 5), Offset: span.Start.Sub(start), Color: color,
			Left:  100 * float64(span.Start.Sub(start)) / whole,
			Width: 100 * float64(span.Duration) / whole,
		})
	}
	title := rows[0].Service + ": " + rows[0].Name
	site.Write(w, http.StatusOK, "trace", title, struct {
		jaeger.Trace
		Rows     []row
		Services int
	}{trace, rows, len(colors)})
}
