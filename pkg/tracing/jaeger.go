package tracing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"soclab/internal/address"
)

// ErrNoTrace tells that the trace backend does not hold the trace asked for.
var ErrNoTrace = errors.New("no such trace")

// Trace is what one event went through: its spans by their start. Jaeger itself
// answers in another order each time it is started.
type Trace struct {
	ID    string `json:"trace_id"` // 32 hex digits
	Spans []Span `json:"spans"`
}

// Span is one step of a trace. Times are precise to the microsecond, as
// Jaeger's query API gives them.
type Span struct {
	ID         string            `json:"span_id"`             // 16 hex digits
	ParentID   string            `json:"parent_id,omitempty"` // "" if it has none
	Service    string            `json:"service"`
	Name       string            `json:"name"`
	Kind       string            `json:"kind,omitempty"` // producer, consumer, internal, client, server, or ""
	Start      time.Time         `json:"start"`
	Duration   time.Duration     `json:"duration_ns"`
	Attributes map[string]string `json:"attributes"` // with what Jaeger derives from the status, such as error=true
}

// End is when the span ended.
func (s Span) End() time.Time { return s.Start.Add(s.Duration) }

// Jaeger reads traces back from Jaeger's query API, or from a collector that
// answers it.
type Jaeger struct {
	base   string
	client *http.Client
}

// NewJaeger returns a client of the query API at a base URL; "" means
// JAEGER_URL, else http://localhost:16686.
func NewJaeger(baseURL string) *Jaeger {
	return &Jaeger{base: address.Jaeger.URL(baseURL), client: &http.Client{Timeout: 10 * time.Second}}
}

// URL is where a browser shows the trace.
func (j *Jaeger) URL(traceID string) string { return j.base + "/trace/" + url.PathEscape(traceID) }

// Trace returns the trace with the given id, or [ErrNoTrace]. A span can be
// read a moment after it was exported.
func (j *Jaeger) Trace(ctx context.Context, id string) (Trace, error) {
	traces, err := j.traces(ctx, "/api/traces/"+url.PathEscape(id), nil)
	if err != nil {
		return Trace{}, err
	}
	if len(traces) == 0 {
		return Trace{}, fmt.Errorf("trace %s at %s: %w", id, j.base, ErrNoTrace)
	}
	return traces[0], nil
}

// Event returns the newest trace of the event with the given id, of the last
// 30 days, or [ErrNoTrace].
func (j *Jaeger) Event(ctx context.Context, id string) (Trace, error) {
	tags, err := json.Marshal(map[string]string{string(KeyEventID): id})
	if err != nil {
		return Trace{}, err
	}
	services, err := j.Services(ctx)
	if err != nil {
		return Trace{}, err
	}
	for _, service := range services {
		traces, err := j.search(ctx, service, 1, url.Values{"tags": {string(tags)}})
		if err != nil {
			return Trace{}, err
		}
		if len(traces) > 0 {
			return traces[0], nil
		}
	}
	return Trace{}, fmt.Errorf("event %s at %s: %w", id, j.base, ErrNoTrace)
}

// Newest returns up to limit traces in which a service took part in the last
// 30 days, the newest first.
func (j *Jaeger) Newest(ctx context.Context, service string, limit int) ([]Trace, error) {
	return j.search(ctx, service, limit, url.Values{})
}

// Services returns the names of the services that have sent spans.
func (j *Jaeger) Services(ctx context.Context) (names []string, err error) {
	return names, j.get(ctx, "/api/services", nil, &names)
}

func (j *Jaeger) search(ctx context.Context, service string, limit int, query url.Values) ([]Trace, error) {
	now := time.Now()
	query.Set("service", service)
	query.Set("limit", fmt.Sprint(limit))
	query.Set("start", fmt.Sprint(now.AddDate(0, 0, -30).UnixMicro()))
	query.Set("end", fmt.Sprint(now.UnixMicro()))
	traces, err := j.traces(ctx, "/api/traces", query)
	slices.SortFunc(traces, func(a, b Trace) int { return b.Start().Compare(a.Start()) })
	return traces, err
}

// traces reads Jaeger's JSON model of traces: times in microseconds, the parent
// as a reference, the service by the id of its process.
func (j *Jaeger) traces(ctx context.Context, path string, query url.Values) ([]Trace, error) {
	type tag struct {
		Key   string
		Value json.RawMessage
	}
	var data []struct {
		TraceID string
		Spans   []struct {
			SpanID              string
			OperationName       string
			ProcessID           string
			StartTime, Duration int64
			Tags                []tag
			References          []struct{ RefType, TraceID, SpanID string }
		}
		Processes map[string]struct{ ServiceName string }
	}
	if err := j.get(ctx, path, query, &data); err != nil {
		return nil, err
	}
	traces := make([]Trace, 0, len(data))
	for _, d := range data {
		trace := Trace{ID: d.TraceID}
		for _, s := range d.Spans {
			span := Span{
				ID:         s.SpanID,
				Service:    d.Processes[s.ProcessID].ServiceName,
				Name:       s.OperationName,
				Start:      time.UnixMicro(s.StartTime).UTC(),
				Duration:   time.Duration(s.Duration) * time.Microsecond,
				Attributes: make(map[string]string, len(s.Tags)),
			}
			// A parent that is a link as well comes as FOLLOWS_FROM.
			for _, ref := range s.References {
				if ref.TraceID == d.TraceID && (span.ParentID == "" || ref.RefType == "CHILD_OF") {
					span.ParentID = ref.SpanID
				}
			}
			for _, tag := range s.Tags {
				value := string(tag.Value)
				var text string
				if json.Unmarshal(tag.Value, &text) == nil {
					value = text
				}
				if tag.Key == "span.kind" {
					span.Kind = value
				} else {
					span.Attributes[tag.Key] = value
				}
			}
			trace.Spans = append(trace.Spans, span)
		}
		slices.SortFunc(trace.Spans, func(a, b Span) int { return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID)) })
		traces = append(traces, trace)
	}
	return traces, nil
}

// get reads the data of one answer of the query API.
func (j *Jaeger) get(ctx context.Context, path string, query url.Values, data any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, j.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("read traces: %w: JAEGER_URL must be like http://localhost:16686", err)
	}
	response, err := j.client.Do(request)
	if err != nil {
		if request := new(url.Error); errors.As(err, &request) {
			err = request.Err // without the URL, which the message below begins with
		}
		return fmt.Errorf("read traces from %s: %w: start the stack, or set JAEGER_URL to where Jaeger is", j.base, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 256<<20))
	if err != nil {
		return fmt.Errorf("read traces from %s: %w", j.base, err)
	}
	answer := struct {
		Data   any
		Errors []struct{ Msg string }
	}{Data: data}
	err = json.Unmarshal(body, &answer)
	switch {
	case response.StatusCode == http.StatusNotFound && err == nil && len(answer.Errors) > 0:
		return fmt.Errorf("%s%s: %w", j.base, path, ErrNoTrace)
	case err == nil && len(answer.Errors) > 0:
		return fmt.Errorf("read traces from %s%s: %s", j.base, path, printable(answer.Errors[0].Msg))
	case response.StatusCode != http.StatusOK || err != nil:
		return fmt.Errorf("read traces from %s%s: the answer (%s) is not Jaeger's: is JAEGER_URL right?", j.base, path, response.Status)
	}
	return nil
}

// ErrKeepsTraces tells that the trace backend has no way to delete traces.
var ErrKeepsTraces = errors.New("Jaeger's API cannot delete them: remove its storage, with `docker compose down --volumes` for the compose stack")

// Clear deletes all traces of the embedded collector. Jaeger cannot do that:
// then the error is [ErrKeepsTraces].
func (j *Jaeger) Clear(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, j.base+"/api/traces", nil)
	if err != nil {
		return fmt.Errorf("delete traces: %w", err)
	}
	response, err := j.client.Do(request)
	if err != nil {
		return fmt.Errorf("delete traces: %w", err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		return ErrKeepsTraces
	}
	return nil
}

// Start is when the first span of the trace began.
func (t Trace) Start() (start time.Time) {
	for i, span := range t.Spans {
		if i == 0 || span.Start.Before(start) {
			start = span.Start
		}
	}
	return start
}

// Duration is the time from the begin of the first span to the end of the last.
func (t Trace) Duration() (d time.Duration) {
	start := t.Start()
	for _, span := range t.Spans {
		d = max(d, span.End().Sub(start))
	}
	return d
}

// EventID is the id of the event that the trace follows, "" if no span has it.
func (t Trace) EventID() string {
	for _, span := range t.Spans {
		if id := span.Attributes[string(KeyEventID)]; id != "" {
			return id
		}
	}
	return ""
}

// Wait is how long the event lay in the queue before span: from the end of its
// parent, a producer, until span, a consumer, began. Any other span has not
// waited.
func (t Trace) Wait(span Span) time.Duration {
	for _, parent := range t.Spans {
		if parent.ID == span.ParentID && parent.Kind == "producer" && span.Kind == "consumer" {
			return max(0, span.Start.Sub(parent.End()))
		}
	}
	return 0
}

// Walk ranges over the spans with their depth, 0 for a root: each span before
// its children, children by their start. A span whose parent is missing is a
// root.
func (t Trace) Walk() iter.Seq2[int, Span] {
	return func(yield func(int, Span) bool) {
		for _, n := range t.tree() {
			if !yield(n.depth, n.Span) {
				return
			}
		}
	}
}

// node is a span in its place in the tree.
type node struct {
	Span
	depth int
	rails string // what a drawing has in front of the name
}

// tree returns the spans in the order of [Trace.Walk].
func (t Trace) tree() []node {
	spans := slices.Clone(t.Spans)
	slices.SortStableFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	known := make(map[string]bool, len(spans))
	for _, span := range spans {
		known[span.ID] = true
	}
	children := make(map[string][]Span)
	var roots []Span
	for _, span := range spans {
		if known[span.ParentID] {
			children[span.ParentID] = append(children[span.ParentID], span)
		} else {
			roots = append(roots, span)
		}
	}
	var nodes []node
	visited := make(map[string]bool, len(spans))
	var visit func(span Span, depth int, branch, indent string)
	visit = func(span Span, depth int, branch, indent string) {
		if visited[span.ID] {
			return
		}
		visited[span.ID] = true
		nodes = append(nodes, node{span, depth, branch})
		for i, child := range children[span.ID] {
			if i < len(children[span.ID])-1 {
				visit(child, depth+1, indent+"├─ ", indent+"│  ")
			} else {
				visit(child, depth+1, indent+"└─ ", indent+"   ")
			}
		}
	}
	for _, span := range roots {
		visit(span, 0, "", "")
	}
	for _, span := range spans { // left are only those in a circle of parents
		visit(span, 0, "", "")
	}
	return nodes
}

// WriteTree draws the trace: one line for each span with its service, when it
// began after the trace did, and how long it took.
func (t Trace) WriteTree(w io.Writer) error {
	head := "trace " + t.ID
	if id := t.EventID(); id != "" {
		head += "  event " + printable(id)
	}
	if _, err := fmt.Fprintf(w, "%s  %s\n", head, FormatDuration(t.Duration())); err != nil {
		return err
	}
	var rows [][4]string
	var notes []string
	var width [4]int
	for _, n := range t.tree() {
		row := [4]string{
			n.rails + printable(n.Name), printable(n.Service),
			"+" + FormatDuration(n.Start.Sub(t.Start())), FormatDuration(n.Duration),
		}
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
		note := ""
		if wait := t.Wait(n.Span); wait > 0 {
			note = "  (waited " + FormatDuration(wait) + " in the queue)"
		}
		if n.Attributes["error"] == "true" {
			note += strings.TrimRight("  error "+printable(n.Attributes["otel.status_description"]), " ")
		}
		rows, notes = append(rows, row), append(notes, note)
	}
	for i, row := range rows {
		_, err := fmt.Fprintf(w, "%-*s  %-*s  %*s  %*s%s\n",
			width[0], row[0], width[1], row[1], width[2], row[2], width[3], row[3], notes[i])
		if err != nil {
			return err
		}
	}
	return nil
}

// FormatDuration writes a duration to a tenth of its unit: 850 µs, 12.4 ms,
// 3.0 s, 2m5s.
func FormatDuration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + FormatDuration(-d)
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// printable replaces what could act on a terminal: anyone may send spans.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
