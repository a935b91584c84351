// Package jaeger reads traces back from Jaeger, or from a collector that answers
// its query API, and draws them as trees.
package jaeger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"soclab/internal/address"
	"soclab/pkg/human"
	"soclab/pkg/tracing/spans"
)

// ErrNoTrace tells that the trace backend does not hold the trace asked for.
var ErrNoTrace = errors.New("no such trace")

// Client is a client of the query API.
type Client struct {
	base string
	http *http.Client
}

// New returns a client of the query API at a base URL; "" means JAEGER_URL, else
// http://localhost:16686.
func New(baseURL string) *Client {
	return &Client{base: address.Jaeger.URL(baseURL), http: &http.Client{Timeout: 10 * time.Second}}
}

// Trace returns the trace with the given id, or [ErrNoTrace]. A span can be
// read a moment after it was exported.
func (c *Client) Trace(ctx context.Context, id string) (Trace, error) {
	traces, err := c.traces(ctx, "/api/traces/"+url.PathEscape(id), nil)
	if err != nil {
		return Trace{}, err
	}
	if len(traces) == 0 {
		return Trace{}, fmt.Errorf("trace %s at %s: %w", id, c.base, ErrNoTrace)
	}
	return traces[0], nil
}

// Event returns the newest trace of the event with the given id, of the last
// 30 days, or [ErrNoTrace].
func (c *Client) Event(ctx context.Context, id string) (Trace, error) {
	tags, err := json.Marshal(map[string]string{string(spans.EventID): id})
	if err != nil {
		return Trace{}, err
	}
	var services []string // that have sent spans
	if err := c.get(ctx, "/api/services", nil, &services); err != nil {
		return Trace{}, err
	}
	for _, service := range services {
		traces, err := c.search(ctx, service, 1, url.Values{"tags": {string(tags)}})
		if err != nil {
			return Trace{}, err
		}
		if len(traces) > 0 {
			return traces[0], nil
		}
	}
	return Trace{}, fmt.Errorf("event %s at %s: %w", id, c.base, ErrNoTrace)
}

// Newest returns up to limit traces in which a service took part in the last
// 30 days, the newest first.
func (c *Client) Newest(ctx context.Context, service string, limit int) ([]Trace, error) {
	return c.search(ctx, service, limit, url.Values{})
}

func (c *Client) search(ctx context.Context, service string, limit int, query url.Values) ([]Trace, error) {
	now := time.Now()
	query.Set("service", service)
	query.Set("limit", fmt.Sprint(limit))
	query.Set("start", fmt.Sprint(now.AddDate(0, 0, -30).UnixMicro()))
	query.Set("end", fmt.Sprint(now.UnixMicro()))
	traces, err := c.traces(ctx, "/api/traces", query)
	slices.SortFunc(traces, func(a, b Trace) int { return b.Start().Compare(a.Start()) })
	return traces, err
}

// traces reads Jaeger's JSON model of traces: times in microseconds, the parent
// as a reference, the service by the id of its process.
func (c *Client) traces(ctx context.Context, path string, query url.Values) ([]Trace, error) {
	var data []struct {
		TraceID string
		Spans   []struct {
			SpanID, OperationName, ProcessID string
			StartTime, Duration              int64
			Tags                             []struct {
				Key   string
				Value json.RawMessage
			}
			References []struct{ RefType, TraceID, SpanID string }
		}
		Processes map[string]struct{ ServiceName string }
	}
	if err := c.get(ctx, path, query, &data); err != nil {
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

// do sends a request to the query API. The body of the answer must be closed.
func (c *Client) do(ctx context.Context, method, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: JAEGER_URL must be like http://localhost:16686", c.base, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		if request := new(url.Error); errors.As(err, &request) {
			err = request.Err // without the URL, which the message below begins with
		}
		return nil, fmt.Errorf("%s: %w: start the stack, or set JAEGER_URL to where Jaeger is", c.base, err)
	}
	return response, nil
}

// get reads the data of one answer of the query API.
func (c *Client) get(ctx context.Context, path string, query url.Values, data any) error {
	response, err := c.do(ctx, http.MethodGet, path+"?"+query.Encode())
	if err != nil {
		return fmt.Errorf("read traces from %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 256<<20))
	if err != nil {
		return fmt.Errorf("read traces from %s: %w", c.base, err)
	}
	answer := struct {
		Data   any
		Errors []struct{ Msg string }
	}{Data: data}
	err = json.Unmarshal(body, &answer)
	switch {
	case response.StatusCode == http.StatusNotFound && err == nil && len(answer.Errors) > 0:
		return fmt.Errorf("%s%s: %w", c.base, path, ErrNoTrace)
	case err == nil && len(answer.Errors) > 0:
		return fmt.Errorf("read traces from %s%s: %s", c.base, path, human.Printable(answer.Errors[0].Msg))
	case response.StatusCode != http.StatusOK || err != nil:
		return fmt.Errorf("read traces from %s%s: the answer (%s) is not Jaeger's: is JAEGER_URL right?", c.base, path, response.Status)
	}
	return nil
}

// Clear deletes all traces of the embedded collector. Jaeger cannot do that,
// which the error says.
func (c *Client) Clear(ctx context.Context) error {
	response, err := c.do(ctx, http.MethodDelete, "/api/traces")
	if err != nil {
		return fmt.Errorf("delete traces of %w", err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		return errors.New("Jaeger's API cannot delete them: remove its storage, with `docker compose down --volumes` for the compose stack")
	}
	return nil
}
