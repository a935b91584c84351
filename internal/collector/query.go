package collector

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Jaeger's API answers 100 traces of the last two days if it is not told
// otherwise; maxLimit is the most that its own search form asks for.
const (
	defaultLimit    = 100
	maxLimit        = 1500
	defaultLookback = 48 * time.Hour
)

// reply is the envelope of every answer of Jaeger's query API.
type reply struct {
	Data   any          `json:"data"`
	Total  int          `json:"total"`
	Limit  int          `json:"limit"`
	Offset int          `json:"offset"`
	Errors []replyError `json:"errors"`
}

type replyError struct {
	Code    int    `json:"code"`
	Message string `json:"msg"`
}

func writeReply(w http.ResponseWriter, data any, total int) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(reply{Data: data, Total: total})
}

func writeError(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(reply{Errors: []replyError{{code, err.Error()}}})
}

// Query serves Jaeger's query API and, at the paths of Jaeger's user interface,
// plain pages over it.
func (c *Collector) Query() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/services", c.serveServices)
	mux.HandleFunc("GET /api/services/{service}/operations", c.serveOperationNames)
	mux.HandleFunc("GET /api/operations", c.serveOperations)
	mux.HandleFunc("GET /api/traces", c.serveSearch)
	mux.HandleFunc("GET /api/traces/{id}", c.serveTrace)
	mux.HandleFunc("DELETE /api/traces", c.clear)
	mux.Handle("GET /{$}", http.RedirectHandler("/search", http.StatusFound))
	mux.HandleFunc("GET /search", c.showSearch)
	mux.HandleFunc("GET /trace/{id}", c.showTrace)
	return mux
}

// clear forgets all traces. Jaeger's own API cannot; it is for `soclab reset`.
// A page of another site cannot send it: browsers ask first, and get a refusal.
func (c *Collector) clear(w http.ResponseWriter, _ *http.Request) {
	if err := c.store.clear(); err != nil {
		writeError(w, http.StatusInternalServerError, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (c *Collector) serveServices(w http.ResponseWriter, _ *http.Request) {
	services := c.services()
	writeReply(w, services, len(services))
}

func (c *Collector) serveOperationNames(w http.ResponseWriter, r *http.Request) {
	names := c.operationNames(r.PathValue("service"))
	writeReply(w, names, len(names))
}

func (c *Collector) serveOperations(w http.ResponseWriter, r *http.Request) {
	service := r.FormValue("service")
	if service == "" {
		writeError(w, http.StatusBadRequest, errNoService)
		return
	}
	type jaegerOperation struct {
		Name     string `json:"name"`
		SpanKind string `json:"spanKind"`
	}
	kind := r.FormValue("spanKind")
	found := []jaegerOperation{}
	for _, op := range c.store.operations(service) {
		if kind == "" || op.kind == kind {
			found = append(found, jaegerOperation{op.name, op.kind})
		}
	}
	writeReply(w, found, len(found))
}

func (c *Collector) serveSearch(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	traces := []jaegerTrace{}
	if ids := r.Form["traceID"]; len(ids) > 0 {
		for _, text := range ids[:min(len(ids), maxLimit)] {
			id, err := parseTraceID(text)
			if err != nil {
				writeError(w, http.StatusBadRequest, err)
				return
			}
			if trace, ok := c.trace(id); ok {
				traces = append(traces, trace)
			}
		}
		writeReply(w, traces, 0)
		return
	}
	s, err := parseSearch(r.Form, time.Now())
	if err == nil && s.service == "" {
		err = errNoService
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	writeReply(w, c.search(s), 0)
}

func (c *Collector) serveTrace(w http.ResponseWriter, r *http.Request) {
	id, err := parseTraceID(r.PathValue("id"))
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	trace, ok := c.trace(id)
	if !ok {
		writeError(w, http.StatusNotFound, errors.New("trace not found"))
		return
	}
	writeReply(w, []jaegerTrace{trace}, 0)
}

// parseTraceID reads a trace id of up to 32 hex digits; leading zeros may lack.
func parseTraceID(text string) (traceID, error) {
	var id traceID
	if text == "" || len(text) > 32 {
		return id, fmt.Errorf("trace id %q: must have 1 to 32 hex digits", text)
	}
	if _, err := hex.Decode(id[:], []byte(strings.Repeat("0", 32-len(text))+text)); err != nil {
		return id, fmt.Errorf("trace id %q: must have 1 to 32 hex digits", text)
	}
	return id, nil
}

// services returns the names of all services, sorted.
func (c *Collector) services() []string {
	names := []string{}
	for _, op := range c.store.operations("") {
		names = append(names, op.service)
	}
	return slices.Compact(names)
}

// operationNames returns the names of a service's operations, sorted.
func (c *Collector) operationNames(service string) []string {
	names := []string{}
	for _, op := range c.store.operations(service) {
		names = append(names, op.name)
	}
	return slices.Compact(names)
}

// trace returns the trace with the given id, if it is held.
func (c *Collector) trace(id traceID) (jaegerTrace, bool) {
	trace := newJaegerTrace(c.store.get(id))
	return trace, len(trace.Spans) > 0
}

// search says which traces are wanted: those with a span that meets all of it.
type search struct {
	service     string // "" for any
	operation   string
	tags        map[string]string
	from, to    time.Time
	minDuration time.Duration
	maxDuration time.Duration // 0 for any
	limit       int
}

var errNoService = errors.New("parameter 'service' is required")

// parseSearch reads the parameters of Jaeger's /api/traces: service, operation,
// limit, start and end (microseconds since 1970), lookback, minDuration and
// maxDuration ("1.5ms"), tag ("key:value", any number), tags (a JSON object).
func parseSearch(form url.Values, now time.Time) (search, error) {
	s := search{
		service:   form.Get("service"),
		operation: form.Get("operation"),
		tags:      make(map[string]string),
		to:        now,
		limit:     defaultLimit,
	}
	for _, tag := range form["tag"] {
		if tag == "" {
			continue
		}
		key, value, ok := strings.Cut(tag, ":")
		if !ok {
			return s, fmt.Errorf("malformed 'tag' parameter, expecting key:value, received: %s", tag)
		}
		s.tags[key] = value
	}
	for _, object := range form["tags"] {
		if object == "" {
			continue
		}
		if err := json.Unmarshal([]byte(object), &s.tags); err != nil {
			return s, fmt.Errorf("malformed 'tags' parameter, cannot unmarshal JSON: %w", err)
		}
	}

	var errs []error
	parse := func(name string, read func(string) error) {
		if text := form.Get(name); text != "" {
			if err := read(text); err != nil {
				errs = append(errs, fmt.Errorf("unable to parse param '%s': %w", name, err))
			}
		}
	}
	microseconds := func(t *time.Time) func(string) error {
		return func(text string) error {
			n, err := strconv.ParseInt(text, 10, 64)
			// Beyond the nanoseconds that an int64 holds there are no spans.
			*t = time.UnixMicro(min(max(n, 0), math.MaxInt64/1000))
			return err
		}
	}
	duration := func(d *time.Duration) func(string) error {
		return func(text string) (err error) {
			*d, err = time.ParseDuration(text)
			return err
		}
	}
	parse("end", microseconds(&s.to))
	lookback := defaultLookback
	if form.Get("lookback") != "custom" { // the form's word for explicit times
		parse("lookback", duration(&lookback))
	}
	s.from = s.to.Add(-lookback)
	parse("start", microseconds(&s.from))
	parse("minDuration", duration(&s.minDuration))
	parse("maxDuration", duration(&s.maxDuration))
	parse("limit", func(text string) (err error) {
		s.limit, err = strconv.Atoi(text)
		s.limit = min(max(s.limit, 0), maxLimit)
		return err
	})
	if s.maxDuration != 0 && s.maxDuration < s.minDuration {
		errs = append(errs, errors.New("'maxDuration' should be greater than 'minDuration'"))
	}
	return s, errors.Join(errs...)
}

// search returns the newest traces that meet s, the newest first.
func (c *Collector) search(s search) []jaegerTrace {
	found := []jaegerTrace{}
	needles := s.needles()
	for _, candidate := range c.store.candidates(s.from.UnixNano(), s.to.UnixNano()) {
		if len(found) >= s.limit {
			break
		}
		trace := newJaegerTrace(read(candidate.frames, needles))
		if slices.ContainsFunc(trace.Spans, func(span jaegerSpan) bool { return s.matches(trace, span) }) {
			found = append(found, trace)
		}
	}
	return found
}

func (s search) matches(trace jaegerTrace, span jaegerSpan) bool {
	process := trace.Processes[span.ProcessID]
	start, duration := time.UnixMicro(span.StartTime), time.Duration(span.Duration)*time.Microsecond
	if s.service != "" && s.service != process.ServiceName ||
		s.operation != "" && s.operation != span.OperationName ||
		start.Before(s.from.Truncate(time.Microsecond)) || start.After(s.to) ||
		duration < s.minDuration || s.maxDuration > 0 && duration > s.maxDuration {
		return false
	}
	for key, value := range s.tags {
		is := func(tag jaegerTag) bool { return tag.Key == key && tag.Text() == value }
		inLogs := func(log jaegerLog) bool { return slices.ContainsFunc(log.Fields, is) }
		if !slices.ContainsFunc(span.Tags, is) && !slices.ContainsFunc(process.Tags, is) &&
			!slices.ContainsFunc(span.Logs, inLogs) {
			return false
		}
	}
	return true
}

// needles are strings that the stored form of a matching span surely holds.
// Tags that are derived from other fields do not stand there as such, nor do
// the values of numbers, booleans and lists, or of bytes, which are sought as
// hex digits.
func (s search) needles() [][]byte {
	needles := [][]byte{[]byte(s.operation)}
	if s.service != "unknown_service" {
		needles = append(needles, []byte(s.service))
	}
	for key, value := range s.tags {
		switch {
		case strings.HasPrefix(key, "otel."), key == "span.kind", key == "error", key == "event", key == "w3c.tracestate":
			continue
		}
		needles = append(needles, []byte(key))
		if !json.Valid([]byte(value)) && strings.Trim(value, "0123456789abcdef") != "" {
			needles = append(needles, []byte(value))
		}
	}
	return needles
}
