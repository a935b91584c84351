package tracing

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"soclab/pkg/tracing/spans"
)

func TestSampler(t *testing.T) {
	var s sampler
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	// second lets n events come evenly within a second and returns how many of
	// them are traced.
	second := func(n int) (traced int) {
		for range n {
			now = now.Add(time.Second / time.Duration(n))
			if s.sample(now) {
				traced++
			}
		}
		return traced
	}
	if got := second(1000); got != 1000 {
		t.Errorf("at 1,000 a second %d are traced", got)
	}
	if got := second(10_000); got != 10_000 {
		t.Errorf("of a burst of 10,000 %d are traced", got)
	}
	second(50_000)
	for range 5 {
		if got := second(50_000); got < 90 || got > 110 {
			t.Errorf("at 50,000 a second %d are traced, want about 100", got)
		}
	}
	now = now.Add(10 * time.Second)
	if got := second(1000); got != 1000 {
		t.Errorf("ten seconds after a flood %d of 1,000 are traced", got)
	}
}

// record makes n spans.
func record(t *Traces, n int) {
	for range n {
		_, span := t.Tracer().Start(context.Background(), spans.Produce, trace.WithSpanKind(trace.SpanKindProducer))
		span.End()
	}
}

func TestBackendIsAway(t *testing.T) {
	traces, err := Start(t.Context(), "producer", "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	record(traces, 5000)
	if err := traces.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exported, dropped := traces.Counts(); exported != 0 || dropped != 5000 {
		t.Errorf("before the end %d exported, %d dropped", exported, dropped)
	}
	traces.Close()
	traces.Close() // twice is harmless
	if exported, dropped := traces.Counts(); exported != 0 || dropped != 5000 || traces.Err() == nil {
		t.Errorf("%d exported, %d dropped, error %v", exported, dropped, traces.Err())
	}
}

func TestBackendHangs(t *testing.T) {
	release := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer backend.Close()
	defer close(release)
	traces, err := Start(t.Context(), "producer", backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	record(traces, 50_000) // more than the queue holds
	traces.Close()
	if exported, dropped := traces.Counts(); exported != 0 || dropped != 50_000 {
		t.Errorf("%d exported, %d dropped", exported, dropped)
	}
}

// A partial success is a success, but for the spans that it says were rejected
// (OTLP specification, Partial Success).
func TestPartialSuccess(t *testing.T) {
	for _, rejected := range []int64{0, 7} {
		answer, err := proto.Marshal(&collectorpb.ExportTraceServiceResponse{
			PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: rejected, ErrorMessage: "a word"},
		})
		if err != nil {
			t.Fatal(err)
		}
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			w.Write(answer)
		}))
		defer backend.Close()
		traces, err := Start(t.Context(), "producer", backend.URL)
		if err != nil {
			t.Fatal(err)
		}
		record(traces, 100)
		traces.Close()
		if exported, dropped := traces.Counts(); exported != 100-rejected || dropped != rejected || (traces.Err() != nil) != (rejected > 0) {
			t.Errorf("%d exported, %d dropped, error %v; want %d dropped", exported, dropped, traces.Err(), rejected)
		}
	}
}

// What the environment says of the process and cannot be read stops nothing.
func TestResourceOfTheEnvironment(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=dev,")
	traces, err := Start(t.Context(), "producer", "http://127.0.0.1:1")
	if err != nil || traces == nil {
		t.Fatalf("%v, %v", traces, err)
	}
	traces.Close()
}

// All spans of a burst that is traced in full wait for a backend that is slow.
func TestBurstFits(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "120000")
	release := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer backend.Close()
	traces, err := Start(t.Context(), "producer", backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	if traces.export.patience != 2*time.Minute {
		t.Errorf("it waits %s for the backend", traces.export.patience)
	}
	record(traces, 4*burst)
	close(release)
	traces.Close()
	if exported, dropped := traces.Counts(); exported != 4*burst || dropped != 0 {
		t.Errorf("%d exported, %d dropped", exported, dropped)
	}
}

// The standard variables say where spans go and whose they are.
func TestEnvironment(t *testing.T) {
	var paths, bodies []string
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		paths, bodies = append(paths, r.URL.Path), append(bodies, string(body))
	}))
	defer backend.Close()
	const nowhere = "http://127.0.0.1:1"
	for _, test := range []struct {
		name, endpoint, variable, value, path, service string
	}{
		{"the endpoint given", backend.URL, "OTEL_EXPORTER_OTLP_ENDPOINT", nowhere, "/v1/traces", "producer"},
		{"the endpoint given, not that for traces", backend.URL, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", nowhere, "/v1/traces", "producer"},
		{"OTLP's endpoint", "", "OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL, "/v1/traces", "producer"},
		{"that for traces", "", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", backend.URL + "/mine", "/mine", "producer"},
		{"the service", backend.URL, "OTEL_SERVICE_NAME", "sensor-7", "/v1/traces", "sensor-7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(test.variable, test.value)
			paths, bodies = nil, nil
			traces, err := Start(t.Context(), "producer", test.endpoint)
			if err != nil {
				t.Fatal(err)
			}
			record(traces, 1)
			traces.Close()
			if len(paths) != 1 || paths[0] != test.path || !strings.Contains(bodies[0], test.service) {
				t.Errorf("requests to %q (%v), want one to %s of the service %s", paths, traces.Err(), test.path, test.service)
			}
		})
	}
}

func TestTracingTurnedOff(t *testing.T) {
	for variable, value := range map[string]string{"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_EXPORTER": "none"} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, value)
			traces, err := Start(t.Context(), "producer", "")
			if err != nil || traces != nil || traces.Sample(time.Now()) {
				t.Errorf("%v, %v", traces, err)
			}
			traces.Close()
			if exported, dropped := traces.Counts(); exported != 0 || dropped != 0 || traces.Err() != nil {
				t.Errorf("%d exported, %d dropped", exported, dropped)
			}
		})
	}
}

func TestSamplerOfTheEnvironment(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	traces, err := Start(t.Context(), "producer", "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer traces.Close()
	if !traces.Sample(time.Now()) {
		t.Error("the environment's sampler was not asked")
	}
	if _, span := traces.Tracer().Start(t.Context(), spans.Produce); span.IsRecording() {
		t.Error("always_off records")
	}
}

func BenchmarkSample(b *testing.B) {
	traces := &Traces{sampler: &sampler{}}
	for b.Loop() {
		traces.Sample(time.Now())
	}
}
