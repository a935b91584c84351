package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/trace"

	"soclab/internal/broker"
	"soclab/pkg/event"
	"soclab/pkg/stream"
	"soclab/pkg/tracing"
)

// start runs the embedded broker, or empties the cluster that the variable
// SOCLAB_TEST_BROKERS names: a real one must pass the same tests.
func start(t *testing.T) stream.Cluster {
	t.Helper()
	if named := os.Getenv("SOCLAB_TEST_BROKERS"); named != "" {
		cluster := stream.Cluster{Brokers: strings.Split(named, ",")}
		if err := cluster.Delete(t.Context(), stream.Group, stream.Raw, stream.Classified, stream.DeadLetter); err != nil {
			t.Fatal(err)
		}
		return cluster
	}
	b, err := broker.Start(broker.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return stream.Cluster{Brokers: []string{b.Addr()}}
}

// logins makes n events of 20 sources.
func logins(n int) []event.Event {
	events := make([]event.Event, n)
	for i := range events {
		events[i] = event.Event{
			Timestamp: time.Date(2026, 3, 1, 12, 0, i, 0, time.UTC), ID: fmt.Sprintf("E%d", i),
			Category: "authentication", Source: event.Endpoint{IP: netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 20)})},
		}
	}
	return events
}

func send(t *testing.T, cluster stream.Cluster, events ...event.Event) {
	t.Helper()
	producer, err := stream.NewProducer(t.Context(), cluster, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	if err := producer.Send(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
}

// results remembers what a consumer handled; it stands in for the CSV file.
type results struct {
	mu       sync.Mutex
	rows     map[int][]event.Record // by partition
	replayed int
	aside    int
}

func (r *results) Last(partition int) (int64, string, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows := r.rows[partition]
	if len(rows) == 0 {
		return 0, "", false, nil
	}
	return rows[len(rows)-1].Offset, rows[len(rows)-1].ID, true, nil
}

func (r *results) PutAside() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = nil
	r.aside++
	return "old", nil
}

func (r *results) handle(_ context.Context, batch *event.Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if batch.Replay {
		r.replayed += len(batch.Records)
		return nil
	}
	if r.rows == nil {
		r.rows = map[int][]event.Record{}
	}
	r.rows[batch.Partition] = append(r.rows[batch.Partition], batch.Records...)
	return nil
}

func (r *results) count() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rows := range r.rows {
		n += len(rows)
	}
	return n
}

// notices collects what a consumer tells its user.
type notices struct {
	mu   sync.Mutex
	text strings.Builder
}

func (n *notices) log() *slog.Logger { return slog.New(slog.NewTextHandler(n, nil)) }

func (n *notices) Write(line []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(line)
}

func (n *notices) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

func consumer(t *testing.T, options stream.ConsumerOptions) *stream.Consumer {
	t.Helper()
	if options.Log == nil {
		options.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	c, err := stream.NewConsumer(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func drain(t *testing.T, options stream.ConsumerOptions, handle stream.Handler) *stream.Consumer {
	t.Helper()
	c := consumer(t, options)
	if err := c.Drain(t.Context(), handle); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRoundTrip(t *testing.T) {
	cluster := start(t)
	sent := logins(10_000)
	send(t, cluster, sent...)
	var got results
	c := drain(t, stream.ConsumerOptions{Cluster: cluster}, got.handle)
	if events, dead := c.Counts(); events != 10_000 || dead != 0 || got.count() != 10_000 {
		t.Fatalf("%d events, %d dead letters, %d rows", events, dead, got.count())
	}
	home := map[netip.Addr]int{}
	seen := map[string]bool{}
	for partition, rows := range got.rows {
		latest := map[netip.Addr]time.Time{}
		for i, row := range rows {
			if row.Offset != int64(i) {
				t.Fatalf("partition %d: offset %d stands %dth", partition, row.Offset, i)
			}
			if where, known := home[row.Source.IP]; known && where != partition {
				t.Fatalf("%s is in partitions %d and %d", row.Source.IP, where, partition)
			}
			home[row.Source.IP] = partition
			if row.Timestamp.Before(latest[row.Source.IP]) {
				t.Fatalf("events of %s are out of order", row.Source.IP)
			}
			latest[row.Source.IP] = row.Timestamp
			if seen[row.ID] {
				t.Fatalf("%s came twice", row.ID)
			}
			seen[row.ID] = true
			if row.Time.IsZero() || time.Since(row.Time) > time.Hour {
				t.Fatalf("record time %s", row.Time)
			}
		}
	}
	if len(got.rows) < 2 {
		t.Errorf("20 sources are spread over %d partitions", len(got.rows))
	}
	positions, err := cluster.Positions(t.Context(), stream.Group, stream.Raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range positions {
		if p.Lag() != 0 {
			t.Errorf("lag %d: %+v", p.Lag(), p)
		}
	}
}

// Each record that was sent with a trace has it, in whichever batch it comes.
func TestSampled(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "always_on")
	cluster := start(t)
	traces, err := tracing.Start(t.Context(), "test", "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer traces.Close()
	producer, err := stream.NewProducer(t.Context(), cluster, traces)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	if err := producer.Send(t.Context(), logins(200)...); err != nil {
		t.Fatal(err)
	}
	send(t, cluster, logins(10)...) // without a trace
	parents := map[string]string{}  // trace ids by partition and offset
	for partition := range stream.DefaultPartitions {
		for m, err := range cluster.Messages(t.Context(), stream.Raw, partition, 0) {
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range m.Headers {
				if h.Key == "traceparent" {
					parents[fmt.Sprint(partition, "@", m.Offset)] = strings.Split(string(h.Value), "-")[1]
				}
			}
		}
	}
	drain(t, stream.ConsumerOptions{Cluster: cluster, Traces: traces, MaxBatch: 7}, func(_ context.Context, batch *event.Batch) error {
		got := map[int]string{}
		for _, s := range batch.Sampled {
			got[s.Index] = trace.SpanContextFromContext(s.Context).TraceID().String()
		}
		for i, record := range batch.Records {
			if want := parents[fmt.Sprint(batch.Partition, "@", record.Offset)]; got[i] != want {
				t.Errorf("partition %d offset %d has trace %q, want %q", batch.Partition, record.Offset, got[i], want)
			}
			delete(got, i)
		}
		if len(got) > 0 {
			t.Errorf("traces of no record: %v", got)
		}
		return nil
	})
	if len(parents) != 200 {
		t.Errorf("%d records were sent with a trace, want 200", len(parents))
	}
}

func TestDrainOfNothing(t *testing.T) {
	cluster := start(t)
	drain(t, stream.ConsumerOptions{Cluster: cluster}, func(context.Context, *event.Batch) error {
		return errors.New("there is nothing to handle")
	})
	for _, topic := range []string{stream.Raw, stream.Classified, stream.DeadLetter} { // the consumer has made them
		if positions, err := cluster.Positions(t.Context(), "", topic); err != nil || len(positions) != stream.DefaultPartitions {
			t.Errorf("%s has %d partitions (%v)", topic, len(positions), err)
		}
	}
}

func TestDeadLetters(t *testing.T) {
	cluster := start(t)
	bad := map[string]string{ // value: reason
		`hello`: "want a JSON object",
		`{"@timestamp":"2026-03-01T12:00:00Z","event.id":"X","source.port":70000}`:   "from 0 to 65535",
		`{"@timestamp":"2026-03-01T12:00:00Z","event.id":"X","event.id":"Y"}`:        "each key once",
		strings.Repeat(" ", event.MaxRecord) + `{"event.id":"X"}`:                    "at most 65536",
		`{"@timestamp":"2026-03-01T12:00:00Z","event.id":"X","user.name":"` + "\xff": "UTF-8",
	}
	writer := &kafka.Writer{Addr: kafka.TCP(cluster.Brokers...), Topic: stream.Raw, RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond}
	defer writer.Close()
	for range 2 { // between events, and at the end of each partition
		send(t, cluster, logins(10)...)
		for value := range bad {
			if err := writer.WriteMessages(t.Context(), kafka.Message{Value: []byte(value)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got results
	c := drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got}, got.handle)
	if events, dead := c.Counts(); events != 20 || dead != int64(2*len(bad)) {
		t.Errorf("%d events, %d dead letters, want 20 and %d", events, dead, 2*len(bad))
	}
	c.Close()
	// Going on does not repeat those at the end, behind the last result.
	again := drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got}, got.handle)
	if events, dead := again.Counts(); events != 0 || dead != 0 {
		t.Errorf("again: %d events, %d dead letters", events, dead)
	}
	places := map[string]bool{}
	positions, err := cluster.Positions(t.Context(), "", stream.DeadLetter)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range positions {
		for m, err := range cluster.Messages(t.Context(), stream.DeadLetter, p.Partition, 0) {
			if err != nil {
				t.Fatal(err)
			}
			header := map[string]string{}
			for _, h := range m.Headers {
				header[h.Key] = string(h.Value)
			}
			if want, known := bad[string(m.Value)]; !known || !strings.Contains(header[stream.HeaderReason], want) {
				t.Errorf("%.60q: reason %q, want %q", m.Value, header[stream.HeaderReason], want)
			}
			if source := source(t, cluster, header); string(source.Value) != string(m.Value) {
				t.Errorf("%v lead to %.60q, want %.60q", header, source.Value, m.Value)
			}
			places[header[stream.HeaderPartition]+"/"+header[stream.HeaderOffset]] = true
		}
	}
	if len(places) != 2*len(bad) {
		t.Errorf("dead letters of %d places, want %d", len(places), 2*len(bad))
	}
}

// source is the record that the headers of another speak of.
func source(t *testing.T, cluster stream.Cluster, header map[string]string) kafka.Message {
	t.Helper()
	partition, partitionErr := strconv.Atoi(header[stream.HeaderPartition])
	offset, offsetErr := strconv.ParseInt(header[stream.HeaderOffset], 10, 64)
	if partitionErr != nil || offsetErr != nil || header[stream.HeaderTopic] != stream.Raw {
		t.Fatalf("headers %v", header)
	}
	for m, err := range cluster.Messages(t.Context(), stream.Raw, partition, offset) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Offset == offset {
			return m
		}
		break
	}
	t.Fatalf("headers %v lead to no record", header)
	return kafka.Message{}
}

// A record that the topic takes may be too large for a dead letter as it is:
// compressed, or with headers that leave no room for more.
func TestLargeDeadLetter(t *testing.T) {
	refused(t, kafka.Message{Key: bytes.Repeat([]byte("k"), 1<<20), Value: bytes.Repeat([]byte("v"), 5<<20)},
		"record of 5242880 bytes: want at most 65536 (cut: its key has 1048576 bytes, its value 5242880)")
}

// A producer that counts in microseconds has written a year of five digits. The
// result would be a time that nobody reads.
func TestRecordTime(t *testing.T) {
	refused(t, kafka.Message{Value: []byte(`{"@timestamp":"2026-03-01T12:00:00Z","event.id":"X"}`), Time: time.UnixMilli(7258118400000)},
		"record time 7258118400000: want milliseconds since 1970, up to the year 2100")
}

// refused checks that a record becomes a dead letter for a reason, and that
// events before and after it are handled.
func refused(t *testing.T, record kafka.Message, reason string) {
	cluster := start(t)
	send(t, cluster, logins(10)...)
	writer := &kafka.Writer{Addr: kafka.TCP(cluster.Brokers...), Topic: stream.Raw, Compression: kafka.Gzip,
		RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond, BatchBytes: 8 << 20}
	defer writer.Close()
	err := writer.WriteMessages(t.Context(), record)
	var each kafka.WriteErrors
	if errors.As(err, &each) && errors.Is(each[0], kafka.InvalidTimestamp) {
		return // a real broker has refused it
	}
	if err != nil {
		t.Fatal(err)
	}
	send(t, cluster, logins(10)...)
	var got results
	c := drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got}, got.handle)
	if events, dead := c.Counts(); events != 20 || dead != 1 {
		t.Fatalf("%d events, %d dead letters, want 20 and 1", events, dead)
	}
	for partition := range stream.DefaultPartitions {
		for m, err := range cluster.Messages(t.Context(), stream.DeadLetter, partition, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if got := string(m.Headers[3].Value); got != reason {
				t.Errorf("reason %q, want %q", got, reason)
			}
		}
	}
}

// The marks that Kafka writes at the end of transactions are no records.
func TestTransactions(t *testing.T) {
	cluster := start(t)
	send(t, cluster, logins(10)...)
	other, err := kgo.NewClient(kgo.SeedBrokers(cluster.Brokers...), kgo.TransactionalID("other"), kgo.DefaultProduceTopic(stream.Raw))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	e := logins(1)[0]
	for range 2 {
		sent := errors.Join(other.BeginTransaction(),
			other.ProduceSync(t.Context(), &kgo.Record{Value: event.AppendJSON(nil, &e)}).FirstErr(),
			other.EndTransaction(t.Context(), kgo.TryCommit))
		if sent != nil {
			t.Fatal(sent)
		}
	}
	var got results
	for range 2 { // also where a partition ends with one
		c := drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got}, got.handle)
		if _, dead := c.Counts(); dead != 0 || got.count() != 12 {
			t.Errorf("%d events, %d dead letters, want 12 and none", got.count(), dead)
		}
		c.Close()
	}
}

// A batch that cannot be finished because the broker went away is begun again
// when it is back, and the user is told once.
func TestBrokerRestarts(t *testing.T) {
	dir := t.TempDir()
	running, err := broker.Start(broker.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	addr := running.Addr()
	cluster := stream.Cluster{Brokers: []string{addr}}
	send(t, cluster, logins(1000)...)
	var got results
	var told notices
	aborted := false
	drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got, Log: told.log()}, func(ctx context.Context, batch *event.Batch) error {
		if !aborted {
			aborted = true
			running.Close()
			<-ctx.Done() // what needs the broker would wait for it so long
			if running, err = broker.Start(broker.Options{Dir: dir, Addr: addr}); err != nil {
				t.Error(err)
			}
			return ctx.Err()
		}
		return got.handle(ctx, batch)
	}).Close()
	running.Close()
	if got.count() != 1000 {
		t.Errorf("%d events, want 1,000", got.count())
	}
	if n := strings.Count(told.String(), "join group"); n > 1 {
		t.Errorf("told %d times:\n%s", n, &told)
	}
}

func TestPublishWaitsForKafka(t *testing.T) {
	b, err := broker.Start(broker.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	publisher, err := stream.NewPublisher(t.Context(), stream.Cluster{Brokers: []string{b.Addr()}})
	b.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	batch := event.Batch{Records: []event.Record{{Event: logins(1)[0], Verdict: &event.Verdict{Class: event.Benign}}}}
	if err := publisher.Append(ctx, &batch); err == nil || ctx.Err() == nil {
		t.Errorf("it did not wait: %v", err)
	}
}

// A wait whose end nobody knows is told of, once: the topic may have been deleted.
func TestPublishTellsThatItWaits(t *testing.T) {
	var told notices
	defer log.SetOutput(log.Writer())
	log.SetOutput(&told) // where slog writes by default
	cluster := start(t)
	publisher := publisher(t, cluster)
	if err := cluster.Delete(t.Context(), "none", stream.Classified); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond) // three attempts
	defer cancel()
	batch := event.Batch{Records: []event.Record{{Event: logins(1)[0], Verdict: &event.Verdict{Class: event.Benign}}}}
	if err := publisher.Append(ctx, &batch); err == nil || ctx.Err() == nil {
		t.Errorf("it did not wait: %v", err)
	}
	if n := strings.Count(told.String(), "publishing failed, retrying"); n != 1 {
		t.Errorf("told %d times:\n%s", n, told.String())
	}
}

// What Kafka answers is no failure of the network, whose errors are waited out.
func TestPublishDoesNotWaitForEver(t *testing.T) {
	publisher := publisher(t, start(t))
	large := &event.Verdict{Class: strings.Repeat("x", 2<<20)}
	batch := event.Batch{Records: []event.Record{{Event: logins(1)[0], Verdict: large}}}
	if err := publisher.Append(t.Context(), &batch); !errors.Is(err, kafka.MessageSizeTooLarge) {
		t.Errorf("error %v", err)
	}
}

func TestResumesAfterTheResults(t *testing.T) {
	cluster := start(t)
	send(t, cluster, logins(5000)...)
	var got results
	drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got}, got.handle).Close()
	// Results are lost from the end on: the committed offsets must not matter.
	for partition, rows := range got.rows {
		got.rows[partition] = rows[:len(rows)/2]
	}
	send(t, cluster, logins(600)...)
	options := stream.ConsumerOptions{Cluster: cluster, Results: &got, History: 100, MaxBatch: 10}
	replays := 0
	c := drain(t, options, func(ctx context.Context, batch *event.Batch) error {
		if batch.Replay {
			replays++
		} else if len(batch.Records) > options.MaxBatch {
			t.Errorf("batch of %d", len(batch.Records))
		}
		last, _, ok, _ := got.Last(batch.Partition)
		first := batch.Records[0].Offset
		if batch.Replay != (ok && first <= last) {
			t.Errorf("partition %d: batch from %d, replay %v, after offset %d", batch.Partition, first, batch.Replay, last)
		}
		return got.handle(ctx, batch)
	})
	c.Close()
	if got.count() != 5600 || got.replayed != 100*len(got.rows) {
		t.Errorf("%d rows, %d replayed in %d partitions", got.count(), got.replayed, len(got.rows))
	}
	if replays > 3*len(got.rows) {
		t.Errorf("%d batches of old records: a slow consumer should have them at once", replays)
	}
	if events, _ := c.Counts(); events == 5600 || events == 0 {
		t.Errorf("%d events were handled", events)
	}
}

func TestRecreatedTopic(t *testing.T) {
	first := start(t)
	send(t, first, logins(300)...)
	var got results
	drain(t, stream.ConsumerOptions{Cluster: first, Results: &got}, got.handle).Close()
	second := start(t)
	events := logins(400)
	slices.Reverse(events)
	send(t, second, events...)
	var told notices
	drain(t, stream.ConsumerOptions{Cluster: second, Results: &got, Log: told.log()}, got.handle)
	if got.aside != 1 || got.count() != 400 || !strings.Contains(told.String(), "the topic was recreated") {
		t.Errorf("put aside %d times, %d rows, told %q", got.aside, got.count(), told.String())
	}
	// It is seen where each topic has held one record, too.
	first = start(t)
	send(t, first, logins(1)...)
	var one results
	drain(t, stream.ConsumerOptions{Cluster: first, Results: &one}, one.handle).Close()
	second = start(t)
	other := logins(1)
	other[0].ID = "other"
	send(t, second, other...)
	drain(t, stream.ConsumerOptions{Cluster: second, Results: &one}, one.handle).Close()
	if one.aside != 1 || one.count() != 1 {
		t.Errorf("put aside %d times, %d rows", one.aside, one.count())
	}
	// Results that cannot be put aside must not be gone on with.
	stuck := unmovable{results: results{rows: map[int][]event.Record{0: {{Offset: 7}}, 1: {{Offset: 7}}, 2: {{Offset: 7}}}}}
	err := consumer(t, stream.ConsumerOptions{Cluster: second, Results: &stuck}).Drain(t.Context(), stuck.handle)
	if err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("error %v", err)
	}
}

// unmovable are results that cannot be put aside.
type unmovable struct{ results }

func (*unmovable) PutAside() (string, error) { return "", errors.New("read-only") }

func TestConsumersShare(t *testing.T) {
	cluster := start(t)
	send(t, cluster, logins(3000)...)
	var got results
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var told notices
	var holders sync.Map
	for i := range 4 {
		c := consumer(t, stream.ConsumerOptions{Cluster: cluster, Results: &got, Log: told.log()})
		running.Go(func() {
			err := c.Run(ctx, func(ctx context.Context, batch *event.Batch) error {
				holders.Store(i, true)
				return got.handle(ctx, batch)
			})
			if err != nil {
				t.Error(err)
			}
			c.Close()
		})
	}
	eventually(t, func() bool { return got.count() == 3000 && strings.Contains(told.String(), "stands idle") })
	send(t, cluster, logins(3000)...)
	eventually(t, func() bool { return got.count() == 6000 })
	stop()
	running.Wait()
	members := 0
	holders.Range(func(any, any) bool { members++; return true })
	if members < 2 {
		t.Errorf("%d consumers had work", members)
	}
	if strings.Contains(told.String(), "failed") {
		t.Error(told.String())
	}
}

// eventually waits for what other goroutines will make true.
func eventually(t *testing.T, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !reached(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not reached in a minute")
		}
	}
}

// A stop in the middle of a batch lets it finish.
func TestStopFinishesTheBatch(t *testing.T) {
	cluster := start(t)
	send(t, cluster, logins(1000)...)
	ctx, stop := context.WithCancel(t.Context())
	finished := 0
	running := consumer(t, stream.ConsumerOptions{Cluster: cluster, MaxBatch: 10})
	err := running.Run(ctx, func(ctx context.Context, batch *event.Batch) error {
		stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond): // work that goes on after the stop
		}
		if len(batch.Records) > 10 {
			t.Errorf("batch of %d", len(batch.Records))
		}
		finished++
		return nil
	})
	if err != nil || finished != 1 {
		t.Errorf("%d batches, error %v", finished, err)
	}
	running.Close()
	stopped := consumer(t, stream.ConsumerOptions{Cluster: cluster})
	if err := stopped.Drain(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a drain that was stopped returns %v", err)
	}
	ctx, stop = context.WithCancel(t.Context())
	err = consumer(t, stream.ConsumerOptions{Cluster: cluster, Group: "other", MaxBatch: 10}).Drain(ctx, func(context.Context, *event.Batch) error {
		stop()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a drain that was stopped on its way returns %v", err)
	}
}

func TestHandlerErrorEndsTheConsumer(t *testing.T) {
	cluster := start(t)
	send(t, cluster, logins(10)...)
	full := errors.New("disk full")
	err := consumer(t, stream.ConsumerOptions{Cluster: cluster}).Run(t.Context(), func(context.Context, *event.Batch) error { return full })
	if !errors.Is(err, full) || !strings.Contains(err.Error(), "events.raw/") {
		t.Errorf("error %v", err)
	}
}

// unreadable are results that do not tell how far they go.
type unreadable struct{ results }

func (*unreadable) Last(int) (int64, string, bool, error) {
	return 0, "", false, errors.New("row 7: no offset")
}

func TestUnreadableResultsEndTheConsumer(t *testing.T) {
	cluster := start(t)
	send(t, cluster, logins(10)...)
	var bad unreadable
	err := consumer(t, stream.ConsumerOptions{Cluster: cluster, Results: &bad}).Drain(t.Context(), bad.handle)
	if err == nil || !strings.Contains(err.Error(), "row 7") {
		t.Errorf("error %v", err)
	}
}

func publisher(t *testing.T, cluster stream.Cluster) *stream.Publisher {
	t.Helper()
	p, err := stream.NewPublisher(t.Context(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestPublish(t *testing.T) {
	cluster := start(t)
	send(t, cluster, logins(50)...)
	publisher := publisher(t, cluster)
	verdict := &event.Verdict{Class: "Odd login", RuleID: "r1", Technique: event.Threat{ID: "T1078"}}
	drain(t, stream.ConsumerOptions{Cluster: cluster}, func(ctx context.Context, batch *event.Batch) error {
		for i := range batch.Records {
			batch.Records[i].Verdict = verdict
		}
		return publisher.Append(ctx, batch)
	})
	n := 0
	for partition := range stream.DefaultPartitions {
		for m, err := range cluster.Messages(t.Context(), stream.Classified, partition, 0) {
			if err != nil {
				t.Fatal(err)
			}
			header := map[string]string{}
			for _, h := range m.Headers {
				header[h.Key] = string(h.Value)
			}
			source := source(t, cluster, header)
			want := strings.TrimSuffix(string(source.Value), "}") + `,"event.created":"` + source.Time.UTC().Format(time.RFC3339Nano) +
				`","class":"Odd login","rule.id":"r1","threat.technique.id":"T1078"}`
			if n++; string(m.Value) != want || string(m.Key) != string(source.Key) {
				t.Errorf("key %s: %s\nwant %s", m.Key, m.Value, want)
			}
		}
	}
	if n != 50 {
		t.Errorf("%d verdicts", n)
	}
}

func TestPublishRefusesWhatIsNotClassified(t *testing.T) {
	cluster := start(t)
	batch := event.Batch{Records: []event.Record{{Event: logins(1)[0], Verdict: &event.Verdict{Class: event.Benign}}, {Event: logins(1)[0], Offset: 7}}}
	if err := publisher(t, cluster).Append(t.Context(), &batch); err == nil || !strings.Contains(err.Error(), "offset 7 of partition 0 is not classified") {
		t.Errorf("error %v", err)
	}
	positions, err := cluster.Positions(t.Context(), "", stream.Classified)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range positions {
		if p.End != 0 {
			t.Errorf("something was published: %+v", p)
		}
	}
}

func TestSendRefusesWhatIsInvalid(t *testing.T) {
	cluster := start(t)
	producer, err := stream.NewProducer(t.Context(), cluster, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	events := logins(3)
	events[1].Source.Port = event.Known(70_000)
	if err := producer.Send(t.Context(), events...); err == nil || !strings.Contains(err.Error(), "event 2 of 3: source.port") {
		t.Errorf("error %v", err)
	}
	events[1].Source.Port, events[1].User = event.Int{}, strings.Repeat("x", event.MaxRecord)
	if err := producer.Send(t.Context(), events...); err == nil || !strings.Contains(err.Error(), "want at most 65536") {
		t.Errorf("error %v", err)
	}
	positions, err := cluster.Positions(t.Context(), "", stream.Raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range positions {
		if p.End != 0 {
			t.Errorf("something was sent: %+v", p)
		}
	}
}

func TestNoBroker(t *testing.T) {
	_, err := stream.NewProducer(t.Context(), stream.Cluster{Brokers: []string{"127.0.0.1:1"}}, nil)
	if err == nil || !strings.Contains(err.Error(), "no Kafka answers at 127.0.0.1:1 (start one with") {
		t.Errorf("error %v", err)
	}
}
