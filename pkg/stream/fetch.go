package stream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	fetchBytes   = 1 << 20                // of one answer, more only where a single record batch is larger
	fetchWait    = 250 * time.Millisecond // for new records
	fetchTimeout = 15 * time.Second
	readBuffer   = 256 << 10
)

// fetcher reads one partition from an offset on, over a connection that it
// makes anew after a failure.
type fetcher struct {
	brokers   []string
	dialer    *kafka.Dialer
	topic     string
	partition int
	next      int64 // offset of the next record

	conn *kafka.Conn
}

// fetch asks the partition's leader once for records from next on and shows
// them to take, until that returns false: that record stays to be read. It
// returns without a record when none came for a while. After an error it may
// be called again.
func (f *fetcher) fetch(ctx context.Context, take func(*kafka.Message) bool) error {
	if err := f.connect(ctx); err != nil {
		return err
	}
	conn := f.conn
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	err := f.read(take)
	if err != nil {
		f.close()
	}
	return err
}

func (f *fetcher) read(take func(*kafka.Message) bool) error {
	if err := f.conn.SetReadDeadline(time.Now().Add(fetchTimeout)); err != nil {
		return err
	}
	if _, err := f.conn.Seek(f.next, kafka.SeekAbsolute|kafka.SeekDontCheck); err != nil {
		return err
	}
	batch := f.conn.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: fetchBytes, MaxWait: fetchWait})
	for {
		message, err := batch.ReadMessage()
		if err != nil {
			closed := batch.Close()
			if errors.Is(err, kafka.RequestTimedOut) {
				return nil // how kafka-go says that nothing came in time
			}
			if !errors.Is(err, io.EOF) {
				return err
			}
			if closed != nil {
				return closed
			}
			f.next = max(f.next, batch.Offset()) // past what compaction or a transaction left out
			return nil
		}
		if message.Offset < f.next {
			continue // a record batch is sent whole, from before the offset asked for
		}
		if !take(&message) {
			return batch.Close()
		}
		f.next = message.Offset + 1
	}
}

func (f *fetcher) connect(ctx context.Context) (err error) {
	if f.conn != nil {
		return nil
	}
	for _, broker := range f.brokers {
		if f.conn, err = f.dialer.DialLeader(ctx, "tcp", broker, f.topic, f.partition); err == nil {
			return nil
		}
		f.conn = nil
	}
	return err
}

func (f *fetcher) close() {
	if f.conn != nil {
		f.conn.Close()
		f.conn = nil
	}
}

// Messages reads the records of a partition in offset order, from an offset on
// to what was the end when it began. It belongs to no group and moves no
// offset: it is for looking. An offset before the oldest record that is kept
// begins there. The first error ends it.
func (c Cluster) Messages(ctx context.Context, topic string, partition int, from int64) iter.Seq2[kafka.Message, error] {
	return func(yield func(kafka.Message, error) bool) {
		positions, err := c.Positions(ctx, "", topic)
		if err != nil {
			yield(kafka.Message{}, err)
			return
		}
		if partition < 0 || partition >= len(positions) {
			yield(kafka.Message{}, fmt.Errorf("read %s/%d: want a partition from 0 to %d", topic, partition, len(positions)-1))
			return
		}
		end := positions[partition].End
		f := fetcher{
			brokers: c.brokers(), dialer: &kafka.Dialer{ClientID: "soclab", Timeout: 3 * time.Second, DialFunc: dialBuffered},
			topic: topic, partition: partition, next: max(from, positions[partition].First),
		}
		defer f.close()
		stopped := false
		for f.next < end && !stopped {
			err := f.fetch(ctx, func(m *kafka.Message) bool {
				stopped = stopped || m.Offset >= end || !yield(*m, nil)
				return !stopped
			})
			if err != nil && !stopped {
				yield(kafka.Message{}, fmt.Errorf("read %s/%d@%d: %w", topic, partition, f.next, err))
				return
			}
		}
	}
}

// dialBuffered reads the network in large pieces: kafka-go's own buffer of
// 4 KiB would cost a system call for each.
func dialBuffered(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return bufferedConn{conn, bufio.NewReaderSize(conn, readBuffer)}, nil
}

type bufferedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c bufferedConn) Read(b []byte) (int, error) { return c.reader.Read(b) }
