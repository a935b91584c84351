package collector

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"mime"
	"net/http"
	"strings"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// maxExport is the largest export request taken, in bytes, after
// decompression. 2,048 spans, the largest batch in use here, are about 1.5 MiB.
const maxExport = 16 << 20

// serviceName is the resource attribute that names the service: OpenTelemetry
// semantic conventions, "Service".
const serviceName = "service.name"

// encoding is a form of OTLP's messages: binary protobuf or JSON.
type encoding struct {
	contentType string
	marshal     func(proto.Message) ([]byte, error)
	unmarshal   func([]byte, *collectorpb.ExportTraceServiceRequest) error
}

var (
	binaryEncoding = encoding{"application/x-protobuf", proto.Marshal,
		func(body []byte, request *collectorpb.ExportTraceServiceRequest) error {
			return proto.Unmarshal(body, request)
		}}
	jsonEncoding = encoding{"application/json", protojson.Marshal, unmarshalJSON}
)

// export takes one ExportTraceServiceRequest: OTLP specification, "OTLP/HTTP".
func (c *Collector) export(w http.ResponseWriter, r *http.Request) {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var form encoding
	switch mediaType {
	case binaryEncoding.contentType:
		form = binaryEncoding
	case jsonEncoding.contentType:
		form = jsonEncoding
	default:
		http.Error(w, "Content-Type must be application/x-protobuf or application/json", http.StatusUnsupportedMediaType)
		return
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-r.Context().Done():
		return
	}

	body, err := readBody(w, r)
	if err != nil {
		code := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			code = http.StatusRequestEntityTooLarge
		}
		form.fail(w, code, err)
		return
	}
	var request collectorpb.ExportTraceServiceRequest
	if err := form.unmarshal(body, &request); err != nil {
		form.fail(w, http.StatusBadRequest, fmt.Errorf("decode ExportTraceServiceRequest: %w", err))
		return
	}
	traces, rejected := splitTraces(request.ResourceSpans)
	if len(traces) > 0 {
		if err := c.store.add(traces); err != nil {
			form.fail(w, http.StatusServiceUnavailable, fmt.Errorf("store spans: %w", err))
			return
		}
	}
	response := new(collectorpb.ExportTraceServiceResponse)
	if rejected > 0 {
		response.PartialSuccess = &collectorpb.ExportTracePartialSuccess{
			RejectedSpans: rejected,
			ErrorMessage:  "a trace id has 16 bytes, a span id 8, and neither is zero",
		}
	}
	form.reply(w, http.StatusOK, response)
}

func (form encoding) fail(w http.ResponseWriter, code int, err error) {
	// A message must be UTF-8; an error may quote what was sent.
	form.reply(w, code, &statuspb.Status{Message: strings.ToValidUTF8(err.Error(), "\uFFFD")})
}

func (form encoding) reply(w http.ResponseWriter, code int, message proto.Message) {
	body, err := form.marshal(message)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", form.contentType)
	w.WriteHeader(code)
	w.Write(body)
}

// readBody reads a request's body, plain or gzip. Beyond maxExport bytes it
// returns an http.MaxBytesError.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body := http.MaxBytesReader(w, r.Body, maxExport)
	switch coding := r.Header.Get("Content-Encoding"); coding {
	case "", "identity":
	case "gzip":
		unzip, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("read gzip body: %w", err)
		}
		body = http.MaxBytesReader(w, unzip, maxExport)
	default:
		return nil, fmt.Errorf("Content-Encoding %q is not gzip", coding)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	return data, nil
}

// unmarshalJSON decodes OTLP's JSON, which is protobuf's but for ids: hex
// instead of base64.
func unmarshalJSON(body []byte, request *collectorpb.ExportTraceServiceRequest) error {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, request); err != nil {
		return err
	}
	var failed error
	id := func(b *[]byte) {
		// Hex digits are base64 digits too: what was decoded as base64 is
		// encoded back to the digits that were sent.
		digits := strings.TrimRight(base64.StdEncoding.EncodeToString(*b), "=")
		decoded, err := hex.DecodeString(digits)
		if err != nil {
			failed = fmt.Errorf("id %q is not hex", digits)
		}
		*b = decoded
	}
	for _, span := range spans(request.ResourceSpans) {
		id(&span.TraceId)
		id(&span.SpanId)
		id(&span.ParentSpanId)
		for _, link := range span.Links {
			id(&link.TraceId)
			id(&link.SpanId)
		}
	}
	return failed
}

// splitTraces sorts spans by trace and keeps their resources and scopes. It
// counts the spans without valid ids, which it leaves out.
func splitTraces(resources []*tracepb.ResourceSpans) (traces []*tracepb.TracesData, rejected int64) {
	type group struct {
		data *tracepb.TracesData
		last origin // of the span that was added last
	}
	groups := make(map[traceID]*group)
	for from, span := range spans(resources) {
		if !valid(span.TraceId, 16) || !valid(span.SpanId, 8) {
			rejected++
			continue
		}
		g := groups[traceID(span.TraceId)]
		if g == nil {
			g = &group{data: new(tracepb.TracesData)}
			groups[traceID(span.TraceId)] = g
			traces = append(traces, g.data)
		}
		if g.last.resource != from.resource {
			g.data.ResourceSpans = append(g.data.ResourceSpans, &tracepb.ResourceSpans{
				Resource: from.resource.Resource, SchemaUrl: from.resource.SchemaUrl,
			})
		}
		resource := g.data.ResourceSpans[len(g.data.ResourceSpans)-1]
		if g.last != from {
			resource.ScopeSpans = append(resource.ScopeSpans, &tracepb.ScopeSpans{
				Scope: from.scope.Scope, SchemaUrl: from.scope.SchemaUrl,
			})
		}
		scope := resource.ScopeSpans[len(resource.ScopeSpans)-1]
		scope.Spans = append(scope.Spans, span)
		g.last = from
	}
	return traces, rejected
}

// valid tells whether an id has n bytes that are not all zero.
func valid(id []byte, n int) bool {
	return len(id) == n && strings.Trim(string(id), "\x00") != ""
}

// origin is where a span comes from: the resource and the instrumentation
// scope that it stands under.
type origin struct {
	resource *tracepb.ResourceSpans
	scope    *tracepb.ScopeSpans
}

// spans ranges over all spans with their origin.
func spans(resources []*tracepb.ResourceSpans) iter.Seq2[origin, *tracepb.Span] {
	return func(yield func(origin, *tracepb.Span) bool) {
		for _, resource := range resources {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					if !yield(origin{resource, scope}, span) {
						return
					}
				}
			}
		}
	}
}

// service is the name of the service that a resource stands for, or the one
// that OpenTelemetry gives to those without.
func (o origin) service() string {
	for _, attribute := range o.resource.GetResource().GetAttributes() {
		if name := attribute.Value.GetStringValue(); attribute.Key == serviceName && name != "" {
			return name
		}
	}
	return "unknown_service"
}

// operations ranges over the operation of each span.
func operations(resources []*tracepb.ResourceSpans) iter.Seq[operation] {
	return func(yield func(operation) bool) {
		for from, span := range spans(resources) {
			if !yield(operation{from.service(), span.Name, kindNames[span.Kind]}) {
				return
			}
		}
	}
}

// kindNames are Jaeger's names of the kinds of spans; an unspecified kind has
// none.
var kindNames = map[tracepb.Span_SpanKind]string{
	tracepb.Span_SPAN_KIND_INTERNAL: "internal",
	tracepb.Span_SPAN_KIND_SERVER:   "server",
	tracepb.Span_SPAN_KIND_CLIENT:   "client",
	tracepb.Span_SPAN_KIND_PRODUCER: "producer",
	tracepb.Span_SPAN_KIND_CONSUMER: "consumer",
}

// interval is when a span began and ended, in Unix nanoseconds. An end before
// the start counts as the start.
func interval(span *tracepb.Span) (start, end int64) {
	start = int64(min(span.StartTimeUnixNano, math.MaxInt64))
	end = int64(min(span.EndTimeUnixNano, math.MaxInt64))
	return start, max(start, end)
}
