package collector

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// The types below are Jaeger's JSON model of a trace, as its query API sends
// it to its user interface. Times are microseconds since 1970, durations
// microseconds.
type (
	jaegerTrace struct {
		TraceID   string                   `json:"traceID"`
		Spans     []jaegerSpan             `json:"spans"`
		Processes map[string]jaegerProcess `json:"processes"`
		Warnings  []string                 `json:"warnings"`
	}

	jaegerSpan struct {
		TraceID       string            `json:"traceID"`
		SpanID        string            `json:"spanID"`
		OperationName string            `json:"operationName"`
		References    []jaegerReference `json:"references"`
		StartTime     int64             `json:"startTime"`
		Duration      int64             `json:"duration"`
		Tags          []jaegerTag       `json:"tags"`
		Logs          []jaegerLog       `json:"logs"`
		ProcessID     string            `json:"processID"`
		Warnings      []string          `json:"warnings"`
	}

	jaegerReference struct {
		RefType string `json:"refType"` // CHILD_OF or FOLLOWS_FROM
		TraceID string `json:"traceID"`
		SpanID  string `json:"spanID"`
	}

	jaegerProcess struct {
		ServiceName string      `json:"serviceName"`
		Tags        []jaegerTag `json:"tags"`
	}

	jaegerTag struct {
		Key   string `json:"key"`
		Type  string `json:"type"` // string, bool, int64, float64 or binary
		Value any    `json:"value"`
	}

	jaegerLog struct {
		Timestamp int64       `json:"timestamp"`
		Fields    []jaegerTag `json:"fields"`
	}
)

// newJaegerTrace translates the spans of one trace as Jaeger does: the kind,
// status and scope of a span become tags, its events logs, its resource a
// process. A span that came twice is taken once.
func newJaegerTrace(resources []*tracepb.ResourceSpans) jaegerTrace {
	trace := jaegerTrace{Spans: []jaegerSpan{}, Processes: make(map[string]jaegerProcess)}
	processIDs := make(map[string]string)
	seen := make(map[string]bool)
	for from, span := range spans(resources) {
		if seen[string(span.SpanId)] {
			continue
		}
		seen[string(span.SpanId)] = true
		process := newJaegerProcess(from)
		key := fmt.Sprint(process)
		if processIDs[key] == "" {
			processIDs[key] = "p" + strconv.Itoa(len(processIDs)+1)
			trace.Processes[processIDs[key]] = process
		}
		trace.TraceID = hex.EncodeToString(span.TraceId)
		trace.Spans = append(trace.Spans, newJaegerSpan(from.scope.GetScope(), span, processIDs[key]))
	}
	slices.SortStableFunc(trace.Spans, func(a, b jaegerSpan) int { return cmp.Compare(a.StartTime, b.StartTime) })
	return trace
}

func newJaegerProcess(from origin) jaegerProcess {
	process := jaegerProcess{ServiceName: from.service(), Tags: []jaegerTag{}}
	for _, attribute := range from.resource.GetResource().GetAttributes() {
		if attribute.Key != serviceName {
			process.Tags = append(process.Tags, newJaegerTag(attribute))
		}
	}
	sortTags(process.Tags)
	return process
}

func newJaegerSpan(scope *commonpb.InstrumentationScope, span *tracepb.Span, processID string) jaegerSpan {
	start, end := interval(span)
	s := jaegerSpan{
		TraceID:       hex.EncodeToString(span.TraceId),
		SpanID:        hex.EncodeToString(span.SpanId),
		OperationName: span.Name,
		References:    []jaegerReference{},
		StartTime:     start / 1e3,
		Duration:      (end - start) / 1e3,
		Tags:          tags(span.Attributes),
		Logs:          []jaegerLog{},
		ProcessID:     processID,
	}
	if valid(span.ParentSpanId, 8) {
		s.References = append(s.References, jaegerReference{"CHILD_OF", s.TraceID, hex.EncodeToString(span.ParentSpanId)})
	}
	for _, link := range span.Links {
		s.References = append(s.References, jaegerReference{
			"FOLLOWS_FROM", hex.EncodeToString(link.TraceId), hex.EncodeToString(link.SpanId),
		})
	}
	tag := func(key, value string) {
		if value != "" {
			s.Tags = append(s.Tags, jaegerTag{key, "string", value})
		}
	}
	tag("otel.scope.name", scope.GetName())
	tag("otel.scope.version", scope.GetVersion())
	tag("span.kind", kindNames[span.Kind])
	tag("w3c.tracestate", span.TraceState)
	switch span.GetStatus().GetCode() {
	case tracepb.Status_STATUS_CODE_OK:
		tag("otel.status_code", "OK")
	case tracepb.Status_STATUS_CODE_ERROR:
		tag("otel.status_code", "ERROR")
		s.Tags = append(s.Tags, jaegerTag{"error", "bool", true})
	}
	tag("otel.status_description", span.GetStatus().GetMessage())
	sortTags(s.Tags)
	for _, event := range span.Events {
		fields := tags(event.Attributes)
		if event.Name != "" {
			fields = append([]jaegerTag{{"event", "string", event.Name}}, fields...)
		}
		s.Logs = append(s.Logs, jaegerLog{int64(event.TimeUnixNano / 1e3), fields})
	}
	return s
}

func tags(attributes []*commonpb.KeyValue) []jaegerTag {
	tags := make([]jaegerTag, 0, len(attributes)+4)
	for _, attribute := range attributes {
		tags = append(tags, newJaegerTag(attribute))
	}
	return tags
}

// sortTags puts tags in the order that Jaeger answers them in, by key.
func sortTags(tags []jaegerTag) {
	slices.SortStableFunc(tags, func(a, b jaegerTag) int { return strings.Compare(a.Key, b.Key) })
}

func newJaegerTag(attribute *commonpb.KeyValue) jaegerTag {
	tag := jaegerTag{Key: attribute.Key, Type: "string", Value: plain(attribute.Value)}
	switch value := tag.Value.(type) {
	case nil:
		tag.Value = ""
	case bool:
		tag.Type = "bool"
	case int64:
		tag.Type = "int64"
	case float64:
		tag.Type = "float64"
	case []byte:
		tag.Type = "binary"
	case []any, map[string]any:
		text, err := json.Marshal(value)
		if err != nil {
			text = []byte(err.Error())
		}
		tag.Value = string(text)
	}
	return tag
}

// plain returns an attribute's value as encoding/json takes it.
func plain(value *commonpb.AnyValue) any {
	switch v := value.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_BoolValue:
		return v.BoolValue
	case *commonpb.AnyValue_IntValue:
		return v.IntValue
	case *commonpb.AnyValue_DoubleValue:
		if math.IsNaN(v.DoubleValue) || math.IsInf(v.DoubleValue, 0) {
			return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64) // JSON has no such number
		}
		return v.DoubleValue
	case *commonpb.AnyValue_BytesValue:
		return v.BytesValue
	case *commonpb.AnyValue_ArrayValue:
		list := make([]any, 0, len(v.ArrayValue.GetValues()))
		for _, element := range v.ArrayValue.GetValues() {
			list = append(list, plain(element))
		}
		return list
	case *commonpb.AnyValue_KvlistValue:
		object := make(map[string]any, len(v.KvlistValue.GetValues()))
		for _, pair := range v.KvlistValue.GetValues() {
			object[pair.Key] = plain(pair.Value)
		}
		return object
	}
	return nil
}

// Text is a tag's value as a search or a page writes it.
func (t jaegerTag) Text() string {
	if data, ok := t.Value.([]byte); ok {
		return hex.EncodeToString(data)
	}
	return fmt.Sprint(t.Value)
}
