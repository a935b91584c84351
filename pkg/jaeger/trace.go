package jaeger

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"soclab/pkg/human"
	"soclab/pkg/tracing/spans"
)

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
		if id := span.Attributes[string(spans.EventID)]; id != "" {
			return id
		}
	}
	return ""
}

// Node is a span in its place in the tree of a trace.
type Node struct {
	Span
	Depth int           // 0 for a root
	Wait  time.Duration // in the queue: from the end of its parent, a producer, until it began, a consumer

	rails string // what a drawing has in front of the name
}

// Tree returns each span before its children, and children by their start. A
// span whose parent is missing is a root.
func (t Trace) Tree() []Node {
	all := slices.SortedStableFunc(slices.Values(t.Spans), func(a, b Span) int { return a.Start.Compare(b.Start) })
	byID := make(map[string]Span, len(all))
	for _, span := range all {
		byID[span.ID] = span
	}
	children := make(map[string][]Span) // by their parent, "" for the roots
	for _, span := range all {
		parent := byID[span.ParentID].ID
		children[parent] = append(children[parent], span)
	}
	nodes := make([]Node, 0, len(all))
	visited := make(map[string]bool, len(all))
	var visit func(span Span, depth int, branch, indent string)
	visit = func(span Span, depth int, branch, indent string) {
		if visited[span.ID] {
			return
		}
		visited[span.ID] = true
		node := Node{Span: span, Depth: depth, rails: branch}
		if parent := byID[span.ParentID]; parent.Kind == "producer" && span.Kind == "consumer" {
			node.Wait = max(0, span.Start.Sub(parent.End()))
		}
		nodes = append(nodes, node)
		for i, child := range children[span.ID] {
			if i < len(children[span.ID])-1 {
				visit(child, depth+1, indent+"├─ ", indent+"│  ")
			} else {
				visit(child, depth+1, indent+"└─ ", indent+"   ")
			}
		}
	}
	for _, span := range append(children[""], all...) { // after the roots are left only those in a circle of parents
		visit(span, 0, "", "")
	}
	return nodes
}

// WriteTree draws the trace: one line for each span with its service, when it
// began after the trace did, and how long it took.
func (t Trace) WriteTree(w io.Writer) error {
	var b strings.Builder
	b.WriteString("trace " + t.ID)
	if id := t.EventID(); id != "" {
		b.WriteString("  event " + human.Printable(id))
	}
	b.WriteString("  " + human.Duration(t.Duration()) + "\n")
	start := t.Start()
	var rows [][5]string
	var width [5]int
	for _, n := range t.Tree() {
		note := ""
		if n.Wait > 0 {
			note = "  (waited " + human.Duration(n.Wait) + " in the queue)"
		}
		if n.Attributes["error"] == "true" {
			note += strings.TrimRight("  error "+human.Printable(n.Attributes["otel.status_description"]), " ")
		}
		row := [5]string{
			n.rails + human.Printable(n.Name), human.Printable(n.Service),
			"+" + human.Duration(n.Start.Sub(start)), human.Duration(n.Duration), note,
		}
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
		rows = append(rows, row)
	}
	for _, row := range rows {
		fmt.Fprintf(&b, "%-*s  %-*s  %*s  %*s%s\n",
			width[0], row[0], width[1], row[1], width[2], row[2], width[3], row[3], row[4])
	}
	_, err := io.WriteString(w, b.String())
	return err
}
