package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"soclab/pkg/event"
	"soclab/pkg/tracing"
	"soclab/pkg/tracing/spans"
)

// Producer sends events to Kafka. It does not know who will read them. It may
// be used by several goroutines.
type Producer struct {
	writer *kafka.Writer
	traces *tracing.Traces
}

// NewProducer connects to the cluster and creates the three topics, with
// DefaultPartitions, where they are missing. traces may be nil. The caller
// must Close the producer.
func NewProducer(ctx context.Context, cluster Cluster, traces *tracing.Traces) (*Producer, error) {
	if err := cluster.Ensure(ctx, DefaultPartitions, Raw, Classified, DeadLetter); err != nil {
		return nil, err
	}
	return &Producer{traces: traces, writer: newWriter(cluster)}, nil
}

func newWriter(cluster Cluster) *kafka.Writer {
	return &kafka.Writer{
		Addr:         cluster.Addr(),
		Balancer:     kafka.Murmur2Balancer{}, // the partition that Java's clients choose for the same key
		RequiredAcks: kafka.RequireAll,
		BatchSize:    10_000,
		BatchBytes:   1 << 20,
		BatchTimeout: 5 * time.Millisecond,
		ReadTimeout:  patience,
		WriteTimeout: patience,
		Transport:    &kafka.Transport{ClientID: clientID("producer"), DialTimeout: patience},
	}
}

// Close ends the producer. All that Send returned for has been acknowledged.
func (p *Producer) Close() error { return closeWriter(p.writer) }

// closeWriter gives what is still on its way no more than the grace: whoever
// sent it has given up, and kafka-go would retry for minutes.
func closeWriter(w *kafka.Writer) (err error) {
	closed := make(chan error, 1)
	go func() { closed <- w.Close() }()
	select {
	case err = <-closed:
	case <-time.After(grace):
	}
	w.Transport.(*kafka.Transport).CloseIdleConnections()
	return err
}

// Send publishes events to [Raw] and returns when all replicas have them.
// Events of one source.ip go to one partition, in order. Thousands at a time
// are by far the fastest. Nothing is sent if one of them is invalid; after any
// other error some may have been, and sending again would repeat those.
//
// Each sampled event gets a kafka.produce span, whose context travels in the
// record's traceparent header (W3C Trace Context).
func (p *Producer) Send(ctx context.Context, events ...event.Event) error {
	var (
		messages = make([]kafka.Message, len(events))
		spans    []trace.Span
		buffer   = make([]byte, 0, 400*len(events))
		now      = time.Now()
	)
	defer func() {
		for _, span := range spans {
			span.End()
		}
	}()
	for i := range events {
		e := &events[i]
		if err := e.Validate(); err != nil {
			return fmt.Errorf("send event %d of %d: %w", i+1, len(events), err)
		}
		start := len(buffer)
		buffer = event.AppendJSON(buffer, e)
		if size := len(buffer) - start; size > event.MaxRecord {
			return fmt.Errorf("send event %s: record of %d bytes: want at most %d", e.ID, size, event.MaxRecord)
		}
		value := buffer[start:len(buffer):len(buffer)]
		messages[i] = kafka.Message{Topic: Raw, Key: key(e), Value: value, Time: now}
		if p.traces.Sample(now) {
			spans = append(spans, p.span(ctx, e, &messages[i]))
		}
	}
	if err := p.writer.WriteMessages(ctx, messages...); err != nil {
		return fmt.Errorf("send %d events to %s: %w", len(events), Raw, first(err))
	}
	return nil
}

// key keeps the events of one source together. Those without a source are
// spread evenly.
func key(e *event.Event) []byte {
	if !e.Source.IP.IsValid() {
		return nil
	}
	return e.Source.IP.AppendTo(make([]byte, 0, 40))
}

func (p *Producer) span(ctx context.Context, e *event.Event, message *kafka.Message) trace.Span {
	ctx, span := p.traces.Tracer().Start(ctx, spans.Produce,
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(message.Time))
	if span.IsRecording() {
		span.SetAttributes(spans.Send()...)
		span.SetAttributes(
			spans.Topic.String(message.Topic), spans.EventID.String(e.ID),
			spans.MessageKey.String(string(message.Key)), spans.MessageSize.Int(len(message.Value)))
		propagation.TraceContext{}.Inject(ctx, headers{message})
	}
	return span
}

// first is one error of the many that a write of many messages returns.
func first(err error) error {
	if each, ok := errors.AsType[kafka.WriteErrors](err); ok {
		for _, err := range each {
			if err != nil {
				return err
			}
		}
	}
	return err
}

// headers carries a trace context in a record's headers.
type headers struct{ message *kafka.Message }

func (h headers) Get(key string) string {
	for _, header := range h.message.Headers {
		if header.Key == key {
			return string(header.Value)
		}
	}
	return ""
}

// Set replaces: a record that is sent on must not keep its old parent.
func (h headers) Set(key, value string) {
	for i := range h.message.Headers {
		if h.message.Headers[i].Key == key {
			h.message.Headers[i].Value = []byte(value)
			return
		}
	}
	h.message.Headers = append(h.message.Headers, kafka.Header{Key: key, Value: []byte(value)})
}

func (h headers) Keys() []string {
	keys := make([]string, len(h.message.Headers))
	for i, header := range h.message.Headers {
		keys[i] = header.Key
	}
	return keys
}
