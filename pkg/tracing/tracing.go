// Package tracing records the way of single events through the pipeline with
// OpenTelemetry: it sets up the export of spans over OTLP/HTTP and decides which
// events are traced. Package spans names the spans, package jaeger reads them back.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"soclab/internal/address"
)

const (
	exportSize      = 512             // spans; small, so that a slow backend is seen to take some
	defaultPatience = 5 * time.Second // for one export, and with a backend that takes nothing more at the end
)

// Traces exports the spans of one service. It never slows or stops the
// pipeline: what the trace backend does not take in time is dropped and
// counted. A nil *Traces traces nothing.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	export   *counter
	sampler  *sampler // nil: OTEL_TRACES_SAMPLER decides
	ended    atomic.Int64
}

// Start begins to export the spans of a service such as "producer". endpoint
// is the base URL of an OTLP/HTTP receiver; if it is empty the standard
// variable OTEL_EXPORTER_OTLP_ENDPOINT counts, else http://localhost:4318. The
// other OTEL_* variables of the SDK count as well, OTEL_EXPORTER_OTLP_TIMEOUT (in
// milliseconds) for the patience at the end, too; OTEL_SDK_DISABLED=true or
// OTEL_TRACES_EXPORTER=none turn tracing off, and Start returns nil.
func Start(ctx context.Context, service, endpoint string) (*Traces, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	patience := defaultPatience
	if ms, err := strconv.Atoi(os.Getenv("OTEL_EXPORTER_OTLP_TIMEOUT")); err == nil && ms > 0 {
		patience = time.Duration(ms) * time.Millisecond
	}
	options := []otlptracehttp.Option{
		otlptracehttp.WithTimeout(patience),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}),
	}
	if endpoint != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		options = append(options, otlptracehttp.WithEndpointURL(address.OTLP.URL(endpoint)+"/v1/traces"))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("start tracing: %w", err)
	}
	// The environment comes last: OTEL_SERVICE_NAME replaces our name.
	described, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName(service)),
		resource.WithTelemetrySDK(), resource.WithProcessPID(), resource.WithHost(), resource.WithFromEnv())
	if err != nil { // what could be told is there nevertheless
		slog.Warn("OTEL_RESOURCE_ATTRIBUTES or the host cannot be read in full: the traces lack that part", "error", err)
	}
	t := &Traces{export: &counter{Exporter: exporter, patience: patience}}
	if os.Getenv("OTEL_TRACES_SAMPLER") == "" {
		t.sampler = &sampler{}
	}
	t.provider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(described),
		sdktrace.WithSpanProcessor(endCounter{&t.ended}),
		// A burst of traced events must fit: it comes faster than it is exported.
		sdktrace.WithBatcher(t.export,
			sdktrace.WithMaxQueueSize(4*burst), sdktrace.WithMaxExportBatchSize(exportSize),
			sdktrace.WithBatchTimeout(time.Second), sdktrace.WithExportTimeout(patience)))
	t.tracer = t.provider.Tracer("soclab")
	return t, nil
}

// Sample decides whether an event that comes now is traced: every one up to
// 1,000 a second with room for a burst of 10,000, and 100 a second above that.
// With OTEL_TRACES_SAMPLER set it says yes, and that sampler decides.
func (t *Traces) Sample(now time.Time) bool {
	return t != nil && (t.sampler == nil || t.sampler.sample(now))
}

// Tracer starts spans. It must not be called on nil.
func (t *Traces) Tracer() trace.Tracer { return t.tracer }

// Counts returns how many spans the backend took, and how many were dropped
// because it was away, slow or full. Spans still on their way are in neither;
// after Close there are none.
func (t *Traces) Counts() (exported, dropped int64) {
	if t == nil {
		return 0, 0
	}
	exported = t.export.taken.Load()
	if t.export.closed.Load() {
		return exported, t.ended.Load() - exported
	}
	return exported, t.export.refused.Load()
}

// Err is the last error of an export, nil where none failed.
func (t *Traces) Err() error {
	if t == nil {
		return nil
	}
	if err := t.export.last.Load(); err != nil {
		return *err
	}
	return nil
}

// Close exports what is left and ends the service's tracing. It gives up where
// the backend takes nothing for five seconds, or is not done in fifteen;
// [Traces.Counts] and [Traces.Err] tell what came of it, since that is no error
// of the pipeline.
func (t *Traces) Close() {
	if t == nil || t.export.closed.Swap(true) {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		t.export.watch(ctx, cancel)
	}()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.export.last.CompareAndSwap(nil, &err)
	}
	cancel()
	<-watched
}

// counter counts what an exporter gets rid of. Its errors are kept and not
// returned: the SDK would print them through a handler that all share.
type counter struct {
	*otlptrace.Exporter
	taken, refused atomic.Int64
	last           atomic.Pointer[error]
	patience       time.Duration
	closed         atomic.Bool
}

var partialSuccess = regexp.MustCompile(`^.*OTLP partial success: .*\((\d+) spans rejected\)$`)

func (c *counter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	refused := 0
	if err := c.Exporter.ExportSpans(ctx, spans); err != nil {
		refused = len(spans)
		// OTLP's partial success is a success but for the spans that it counts,
		// maybe none; the exporter tells it by the error's text alone.
		if partial := partialSuccess.FindStringSubmatch(err.Error()); partial != nil {
			refused, _ = strconv.Atoi(partial[1])
		}
		if refused > 0 {
			c.last.Store(&err)
		}
	}
	c.refused.Add(int64(refused))
	c.taken.Add(int64(len(spans) - refused))
	return nil
}

// watch cancels when for a time nothing has been taken, or when three times as
// long is over: a slow backend is not waited for.
func (c *counter) watch(ctx context.Context, cancel context.CancelFunc) {
	tick := time.NewTicker(c.patience)
	defer tick.Stop()
	before := c.taken.Load()
	for range 3 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := c.taken.Load()
		if now == before {
			break
		}
		before = now
	}
	cancel()
}

// endCounter counts the spans that ended, exported or not.
type endCounter struct{ ended *atomic.Int64 }

func (c endCounter) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (c endCounter) OnEnd(sdktrace.ReadOnlySpan)                     { c.ended.Add(1) }
func (c endCounter) Shutdown(context.Context) error                  { return nil }
func (c endCounter) ForceFlush(context.Context) error                { return nil }
