package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/segmentio/kafka-go"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"soclab/pkg/event"
	"soclab/pkg/tracing/spans"
)

const (
	lastYear = 2100 // of a record's time, as of an event's

	// So much of a record goes into its dead letter, in bytes: a message may
	// have 1 MiB.
	mostOfKey   = 64 << 10
	mostOfValue = 512 << 10
)

// errTryAgain says that a generation could not begin, and that a later one may.
var errTryAgain = errors.New("try again")

// reader reads one partition for one generation.
type reader struct {
	*Consumer
	fetcher
	from      int64 // the first record that is new; those before it are replayed
	committed int64 // records before it have had their dead letters written
	dead      []kafka.Message
}

// readers finds out where to begin in each partition. It looks at all of them
// before any is read: results that are put aside for one are gone for all.
func (c *Consumer) readers(ctx context.Context, assigned []kafka.PartitionAssignment) ([]*reader, error) {
	positions, err := c.options.Cluster.Positions(ctx, "", Raw)
	if err != nil {
		return nil, c.waitOut(ctx, err)
	}
	for {
		var readers []*reader
		aside := ""
		for _, mine := range assigned {
			if mine.ID >= len(positions) {
				return nil, errTryAgain // newer than our view of the topic
			}
			r, reason, err := c.reader(ctx, mine, positions[mine.ID])
			if err != nil {
				return nil, err
			}
			if reason != "" {
				aside = reason
			}
			readers = append(readers, r)
		}
		if aside == "" {
			return readers, nil
		}
		name, err := c.options.Results.PutAside()
		if err != nil {
			return nil, err
		}
		if name != "" {
			c.options.Log.Warn("the topic was recreated: the results of the old one were put aside", "because", aside, "as", name)
		}
	}
}

// waitOut tells of a failure of Kafka, and after a pause that it may be over.
func (c *Consumer) waitOut(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		c.trouble(err)
		_ = sleep(ctx, time.Second)
	}
	return errTryAgain
}

// reader makes the reader of one partition, or gives the reason why the
// results belong to a topic that was recreated.
func (c *Consumer) reader(ctx context.Context, mine kafka.PartitionAssignment, position Position) (*reader, string, error) {
	from := position.First
	if c.options.Results == nil {
		from = max(from, min(mine.Offset, position.End))
	} else {
		offset, id, ok, err := c.options.Results.Last(mine.ID)
		if err != nil {
			return nil, "", err
		}
		if ok {
			if offset >= position.End {
				return nil, fmt.Sprintf("they go on to offset %d of %s/%d, whose log ends at %d", offset, Raw, mine.ID, position.End), nil
			}
			if offset >= position.First {
				found, err := c.eventID(ctx, mine.ID, offset)
				if err != nil {
					return nil, "", c.waitOut(ctx, err)
				}
				if found != id {
					return nil, fmt.Sprintf("at offset %d of %s/%d they have event %s, and the log has %q", offset, Raw, mine.ID, id, found), nil
				}
			}
			from = offset + 1
		}
		if from < position.First || !ok && position.First > 0 {
			next := int64(0)
			if ok {
				next = from
			}
			c.options.Log.Warn("gap: records have expired and get no results", "topic", Raw, "partition", mine.ID,
				"from", next, "to", position.First-1)
			from = position.First
		}
	}
	return &reader{
		Consumer: c, from: from, committed: mine.Offset,
		fetcher: fetcher{
			brokers: c.options.Cluster.brokers(), dialer: c.dialer, topic: Raw, partition: mine.ID,
			next: max(position.First, from-c.options.History),
		},
	}, "", nil
}

// eventID reads the id of the event at an offset, empty where the record there
// is no event.
func (c *Consumer) eventID(ctx context.Context, partition int, offset int64) (string, error) {
	for message, err := range c.options.Cluster.Messages(ctx, Raw, partition, offset) {
		if err != nil {
			return "", err
		}
		var e event.Event
		if message.Offset == offset && event.DecodeJSON(string(message.Value), &e) == nil {
			return e.ID, nil
		}
		break
	}
	return "", nil
}

// read feeds batches to the handler until ctx ends or the partition must be
// assigned anew. Two batches take turns: one is filled while the other is
// handled.
func (r *reader) read(ctx context.Context, queue chan<- work) {
	defer r.close()
	free := make(chan *event.Batch, 2)
	for range cap(free) {
		free <- &event.Batch{Topic: r.topic, Partition: r.partition}
	}
	// Where this partition stands is known before anything is read.
	if !offer(ctx, queue, work{partition: r.partition, next: r.from}) {
		return
	}
	failing := false
	for {
		var batch *event.Batch
		select {
		case <-ctx.Done():
			return
		case batch = <-free:
		}
		before := r.next
		batch.Records, batch.Sampled, batch.Replay = batch.Records[:0], batch.Sampled[:0], r.next < r.from
		err := r.fetch(ctx, func(m *kafka.Message) bool { return r.take(batch, m) })
		if r.writeDeadLetters(ctx) != nil {
			endSpans(batch)
			return
		}
		w := work{batch: batch, partition: r.partition, next: r.next, done: free}
		if len(batch.Records) == 0 {
			w.batch = nil
			free <- batch
		}
		if w.batch != nil || r.next != before && r.next > r.from {
			if !offer(ctx, queue, w) {
				return
			}
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, kafka.OffsetOutOfRange):
			r.options.Log.Warn("an offset has expired while it was wanted: starting over", "topic", r.topic, "partition", r.partition, "offset", r.next)
			_ = sleep(ctx, time.Second)
			return
		case err != nil:
			if !failing {
				r.options.Log.Warn("reading failed, retrying", "topic", r.topic, "partition", r.partition, "offset", r.next, "error", err)
			}
			failing = true
			_ = sleep(ctx, 500*time.Millisecond)
		default:
			failing = false
		}
	}
}

func offer(ctx context.Context, queue chan<- work, w work) bool {
	select {
	case queue <- w:
		return true
	case <-ctx.Done():
		if w.batch != nil {
			endSpans(w.batch)
		}
		return false
	}
}

// take adds a record to the batch. It leaves what would mix replayed and new
// records, or make the batch too long, for the next one.
func (r *reader) take(batch *event.Batch, m *kafka.Message) bool {
	if batch.Replay != (m.Offset < r.from) {
		if len(batch.Records) > 0 {
			return false
		}
		batch.Replay = m.Offset < r.from // records before it have expired
	}
	if r.options.MaxBatch > 0 && !batch.Replay && len(batch.Records) == r.options.MaxBatch {
		return false
	}
	if endsTransaction(m) {
		return true
	}
	n := len(batch.Records)
	batch.Records = append(batch.Records, event.Record{Offset: m.Offset, Time: m.Time})
	// The value is ours alone and never written to, so the event's strings may
	// point into it: no copy.
	err := event.DecodeJSON(unsafe.String(unsafe.SliceData(m.Value), len(m.Value)), &batch.Records[n].Event)
	if err == nil && m.Time.Year() > lastYear {
		err = fmt.Errorf("record time %d: want milliseconds since 1970, up to the year %d", m.Time.UnixMilli(), lastYear)
	}
	if err != nil {
		batch.Records = batch.Records[:n]
		if m.Offset >= max(r.from, r.committed) {
			r.dead = append(r.dead, r.deadLetter(m, err))
		}
		return true
	}
	if r.options.Traces != nil && !batch.Replay {
		r.trace(batch, n, m)
	}
	return true
}

// endsTransaction reports whether a record is Kafka's own mark at the end of a
// transaction, which kafka-go shows like any other: its key is a version and a
// type, 0 for abort and 1 for commit, its value a version and an epoch (Kafka's
// documentation, Message Format, Control Batches). The records of transactions
// are events whether they were committed or not: kafka-go does not tell.
func endsTransaction(m *kafka.Message) bool {
	return len(m.Key) == 4 && len(m.Value) == 6 && m.Key[0] == 0 && m.Key[1] == 0 && m.Key[2] == 0 && m.Key[3] <= 1 && m.Value[0] == 0
}

// trace starts the kafka.consume span of a record whose producer traced it.
func (r *reader) trace(batch *event.Batch, i int, m *kafka.Message) {
	if len(m.Headers) == 0 {
		return
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), headers{m})
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return
	}
	ctx, span := r.options.Traces.Tracer().Start(ctx, spans.Consume, trace.WithSpanKind(trace.SpanKindConsumer))
	if span.IsRecording() {
		span.SetAttributes(spans.Process()...)
		span.SetAttributes(
			spans.Topic.String(r.topic), spans.Partition.String(fmt.Sprint(r.partition)),
			spans.Offset.Int64(m.Offset), spans.EventID.String(batch.Records[i].ID),
			spans.Group.String(r.options.Group))
	}
	batch.Sampled = append(batch.Sampled, event.Sampled{Index: i, Context: ctx})
}

func endSpans(batch *event.Batch) {
	for _, s := range batch.Sampled {
		trace.SpanFromContext(s.Context).End()
	}
}

// deadLetter makes the dead letter of a record, which must fit into a message
// itself. What is cut from a large one can be read at its offset.
func (r *reader) deadLetter(m *kafka.Message, reason error) kafka.Message {
	text := reason.Error()
	key, value := m.Key, m.Value
	if len(key) > mostOfKey || len(value) > mostOfValue {
		text += fmt.Sprintf(" (cut: its key has %d bytes, its value %d)", len(key), len(value))
		key = bytes.Clone(key[:min(len(key), mostOfKey)])
		value = bytes.Clone(value[:min(len(value), mostOfValue)])
	}
	return kafka.Message{
		Topic: DeadLetter, Key: key, Value: value,
		Headers: append(origin{r.topic, r.partition}.headers(m.Offset),
			kafka.Header{Key: HeaderReason, Value: []byte(text)}),
	}
}

// writeDeadLetters returns when the dead letters at hand are written, which is
// before any record after them is committed, or with an error when ctx ends.
func (r *reader) writeDeadLetters(ctx context.Context) error {
	for failing := false; len(r.dead) > 0; failing = true {
		err := r.deadLetters.WriteMessages(ctx, r.dead...)
		if err == nil {
			r.refused.Add(int64(len(r.dead)))
			r.dead = r.dead[:0]
			return nil
		}
		if !failing {
			r.options.Log.Warn("dead letters wait until they can be written", "letters", len(r.dead), "topic", r.topic, "partition", r.partition, "error", first(err))
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}
