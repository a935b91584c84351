package stream

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"

	"soclab/pkg/event"
)

// Publisher is a sink: it sends classified events to [Classified], at least
// once. It is for one goroutine.
type Publisher struct {
	writer *kafka.Writer
	rows   event.RowEncoder
}

// NewPublisher connects to the cluster, as [NewProducer] does. The caller must
// Close the publisher.
func NewPublisher(ctx context.Context, cluster Cluster) (*Publisher, error) {
	if err := cluster.Ensure(ctx, DefaultPartitions, Raw, Classified, DeadLetter); err != nil {
		return nil, err
	}
	return &Publisher{writer: newWriter(cluster)}, nil
}

// Close ends the publisher. All that Append returned for has been acknowledged.
func (p *Publisher) Close() error { return closeWriter(p.writer) }

// Append sends a classified batch, each event with the topic, partition and
// offset of its record in the headers: a batch that is classified again is
// published again, and by these repeated ones count once. While Kafka is away it
// waits, until ctx ends.
func (p *Publisher) Append(ctx context.Context, batch *event.Batch) error {
	messages := make([]kafka.Message, len(batch.Records))
	buffer := make([]byte, 0, 600*len(batch.Records))
	origin := origin{batch.Topic, batch.Partition}
	var row event.Row // one for all: it is on the heap
	for i := range batch.Records {
		record := &batch.Records[i]
		if record.Verdict == nil {
			return fmt.Errorf("publish to %s: offset %d of partition %d is not classified", Classified, record.Offset, batch.Partition)
		}
		start := len(buffer)
		row.Record = record
		buffer = p.rows.AppendJSON(buffer, &row)
		messages[i] = kafka.Message{
			Topic: Classified, Key: key(&record.Event), Value: buffer[start:len(buffer):len(buffer)],
			Headers: origin.headers(record.Offset),
		}
	}
	for told := false; ; told = true {
		err := first(p.writer.WriteMessages(ctx, messages...))
		if err == nil {
			return nil
		}
		passing := temporary(err) || networkFailed(err)
		if passing && !told && ctx.Err() == nil {
			slog.Warn("publishing failed, retrying", "topic", Classified, "error", err)
		}
		if !passing || sleep(ctx, time.Second) != nil {
			return fmt.Errorf("publish %d events to %s: %w", len(messages), Classified, err)
		}
	}
}

// origin is where the record stands that another record speaks of.
type origin struct {
	topic     string
	partition int
}

func (o origin) headers(offset int64) []kafka.Header {
	return []kafka.Header{
		{Key: HeaderTopic, Value: []byte(o.topic)},
		{Key: HeaderPartition, Value: strconv.AppendInt(nil, int64(o.partition), 10)},
		{Key: HeaderOffset, Value: strconv.AppendInt(nil, offset, 10)},
	}
}
