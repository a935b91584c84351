package stream_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"soclab/pkg/event"
	"soclab/pkg/stream"
)

func committed(t *testing.T, cluster stream.Cluster) map[int]int64 {
	t.Helper()
	positions, err := cluster.Positions(t.Context(), stream.Group, stream.Raw)
	if err != nil {
		t.Fatal(err)
	}
	offsets := map[int]int64{}
	for _, p := range positions {
		offsets[p.Partition] = p.Committed
	}
	return offsets
}

// A drain ends by what it has handled itself: that the group has committed
// everything before says nothing where the results are lost.
func TestDrainDoesNotTrustItsOwnCommits(t *testing.T) {
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	cluster := stream.Cluster{Brokers: kafka.ListenAddrs()}
	send(t, cluster, logins(300)...)
	var got, lost results
	drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &lost}, lost.handle).Close()
	kafka.ControlKey(kmsg.OffsetCommit.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		kafka.KeepControl()
		return nil, errors.New("no commit today"), true
	})
	drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got, MaxBatch: 10}, func(ctx context.Context, batch *event.Batch) error {
		time.Sleep(50 * time.Millisecond) // for long enough that the drain looks at the commits in between
		return got.handle(ctx, batch)
	}).Close()
	if got.count() != 300 {
		t.Errorf("the drain ended after %d of 300 events", got.count())
	}
}

// What is read again was committed long ago: the lag that others see must not
// grow by it.
func TestReplaysAreNotCommitted(t *testing.T) {
	cluster := start(t)
	send(t, cluster, logins(40_000)...)
	var got results
	drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got}, got.handle).Close()
	before := committed(t, cluster)
	send(t, cluster, logins(300)...)
	replays := map[int]int{}
	drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got, History: 12_000}, func(ctx context.Context, batch *event.Batch) error {
		if batch.Replay {
			replays[batch.Partition]++
		}
		if now := committed(t, cluster)[batch.Partition]; now < before[batch.Partition] {
			t.Errorf("partition %d: committed offset %d fell to %d", batch.Partition, before[batch.Partition], now)
		}
		return got.handle(ctx, batch)
	})
	if len(replays) == 0 || slices.Max(slices.Collect(maps.Values(replays))) < 2 {
		t.Errorf("batches read again, by partition: %v, want more than one", replays)
	}
}

func TestLag(t *testing.T) {
	for _, test := range []struct{ first, end, committed, lag int64 }{
		{0, 50, -1, 50}, {0, 50, 20, 30}, {0, 50, 50, 0},
		{100, 150, -1, 50}, {100, 150, 20, 50}, {100, 150, 130, 20}, // what has expired does not wait
		{0, 0, -1, 0}, {0, 10, 20, 0}, // recreated
	} {
		p := stream.Position{First: test.first, End: test.end, Committed: test.committed}
		if p.Lag() != test.lag {
			t.Errorf("%+v: lag %d, want %d", p, p.Lag(), test.lag)
		}
	}
}

// Records that expired before they were classified are told of, and the rest
// is done.
func TestGapIsTold(t *testing.T) {
	cluster := start(t)
	send(t, cluster, logins(1000)...)
	var got results
	drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got}, got.handle).Close()
	before := committed(t, cluster)
	send(t, cluster, logins(1000)...)
	deleteRecords(t, cluster, 0, before[0]+50)
	for m, err := range cluster.Messages(t.Context(), stream.Raw, 0, 0) { // who looks sees what is left
		if err != nil || m.Offset != before[0]+50 {
			t.Errorf("the oldest record is at offset %d (%v), want %d", m.Offset, err, before[0]+50)
		}
		break
	}
	var told notices
	drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got, Log: told.log()}, got.handle).Close()
	if got.count() != 1950 {
		t.Errorf("%d rows, want 1,950", got.count())
	}
	if want := "gap: records have expired"; strings.Count(told.String(), want) != 1 {
		t.Errorf("told %q, want %q once", told.String(), want)
	}
	// Nothing was classified yet: the log's begin itself is missing.
	var none results
	told = notices{}
	drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &none, Log: told.log()}, none.handle)
	if !strings.Contains(told.String(), "gap: records have expired") || !strings.Contains(told.String(), "from=0") {
		t.Errorf("told %q", told.String())
	}
}

func deleteRecords(t *testing.T, cluster stream.Cluster, partition int32, before int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	request := kmsg.NewDeleteRecordsRequest()
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = stream.Raw
	topic.Partitions = []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: before}}
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	if p := response.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.LowWatermark != before {
		t.Fatalf("%+v", p)
	}
}

// A broker on a busy machine takes its time over its first answers, and is no
// broker that is not there.
func TestSlowBroker(t *testing.T) {
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	for key, delay := range map[kmsg.Key]time.Duration{kmsg.ApiVersions: 3500 * time.Millisecond, kmsg.Metadata: time.Second} {
		first := sync.OnceFunc(func() { time.Sleep(delay) })
		kafka.ControlKey(key.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
			first()
			return nil, nil, false
		})
	}
	cluster := stream.Cluster{Brokers: kafka.ListenAddrs()}
	if err := cluster.Ensure(t.Context(), 2, stream.Raw); err != nil {
		t.Fatal(err)
	}
	if n := len(committed(t, cluster)); n != 2 {
		t.Errorf("%d partitions, want 2", n)
	}
}

// A record that cannot be decoded is written to its topic before anything after
// it is handled, and while that topic cannot be written the consumer waits.
func TestDeadLettersAreWrittenFirst(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	cluster := stream.Cluster{Brokers: fake.ListenAddrs()}
	events := logins(20)
	for i := range events {
		events[i].Source.IP = events[0].Source.IP // all in one partition
	}
	send(t, cluster, events[:10]...)
	writer := &kafka.Writer{Addr: kafka.TCP(cluster.Brokers...), Topic: stream.Raw, Balancer: kafka.Murmur2Balancer{}, BatchTimeout: time.Millisecond}
	defer writer.Close()
	if err := writer.WriteMessages(t.Context(), kafka.Message{Key: []byte(events[0].Source.IP.String()), Value: []byte("broken")}); err != nil {
		t.Fatal(err)
	}
	send(t, cluster, events[10:]...)
	refusals := 0
	fake.ControlKey(kmsg.Produce.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		produce := request.(*kmsg.ProduceRequest)
		if refusals == 1 || produce.Topics[0].Topic != stream.DeadLetter {
			fake.KeepControl()
			return nil, nil, false
		}
		fake.KeepControl()
		refusals++
		response := produce.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range produce.Topics {
			refused := kmsg.ProduceResponseTopic{Topic: topic.Topic}
			for _, p := range topic.Partitions {
				refused.Partitions = append(refused.Partitions, kmsg.ProduceResponseTopicPartition{Partition: p.Partition, ErrorCode: kerr.TopicAuthorizationFailed.Code})
			}
			response.Topics = append(response.Topics, refused)
		}
		return response, nil, true
	})
	var got results
	c := drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got}, func(ctx context.Context, batch *event.Batch) error {
		letters := int64(0)
		positions, err := cluster.Positions(ctx, "", stream.DeadLetter)
		for _, p := range positions {
			letters += p.End
		}
		if last := batch.Records[len(batch.Records)-1].Offset; err != nil || last > 10 && letters != 1 {
			t.Errorf("offset %d is handled with %d dead letters written (%v), want the one before it", last, letters, err)
		}
		return got.handle(ctx, batch)
	})
	if events, dead := c.Counts(); events != 20 || dead != 1 || refusals != 1 {
		t.Errorf("%d events, %d dead letters, %d refusals", events, dead, refusals)
	}
	c.Close()
	// It comes and counts once, although it is read again.
	send(t, cluster, events[0])
	again := drain(t, stream.ConsumerOptions{Cluster: cluster, Group: "other", Results: &got, History: 100}, got.handle)
	if events, dead := again.Counts(); events != 1 || dead != 0 || got.replayed != 20 {
		t.Errorf("again: %d events, %d dead letters, %d events replayed", events, dead, got.replayed)
	}
}

// What was sent outlives the loss of a broker, and lies in the partition that
// other clients choose for the same key.
func TestWhatIsSentIsKept(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	cluster := stream.Cluster{Brokers: fake.ListenAddrs()}
	acks := map[string][]int16{}
	fake.ControlKey(kmsg.Produce.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		produce := request.(*kmsg.ProduceRequest)
		for _, topic := range produce.Topics {
			acks[topic.Topic] = append(acks[topic.Topic], produce.Acks)
		}
		return nil, nil, false
	})
	events := logins(20)
	send(t, cluster, events...)
	publisher := publisher(t, cluster)
	batch := event.Batch{Records: []event.Record{{Event: events[0], Verdict: &event.Verdict{Class: event.Benign}}}}
	if err := publisher.Append(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{stream.Raw, stream.Classified} {
		if len(acks[topic]) == 0 || slices.ContainsFunc(acks[topic], func(acks int16) bool { return acks != -1 }) {
			t.Errorf("%s is written with acks %v, want -1: all replicas", topic, acks[topic])
		}
	}
	other, err := kgo.NewClient(kgo.SeedBrokers(cluster.Brokers...), kgo.DefaultProduceTopic(stream.Raw))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for i := range events {
		record := &kgo.Record{Key: []byte(events[i].Source.IP.String()), Value: event.AppendJSON(nil, &events[i])}
		if err := other.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	home := map[string]int{}
	for partition := range stream.DefaultPartitions {
		for m, err := range cluster.Messages(t.Context(), stream.Raw, partition, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if where, known := home[string(m.Key)]; known && where != partition {
				t.Errorf("key %s is in partitions %d and %d", m.Key, where, partition)
			}
			home[string(m.Key)] = partition
		}
	}
	if len(home) != 20 {
		t.Errorf("%d keys, want 20", len(home))
	}
}

// A consumer that is slower than the topic forgets goes on where the log begins.
func TestOffsetExpiresWhileItIsWanted(t *testing.T) {
	cluster := start(t)
	send(t, cluster, logins(3000)...)
	var got results
	var told notices
	var expired sync.Once
	const begin = 200
	drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got, MaxBatch: 10, Log: told.log()}, func(ctx context.Context, batch *event.Batch) error {
		if batch.Partition == 0 {
			expired.Do(func() { deleteRecords(t, cluster, 0, begin) })
		}
		return got.handle(ctx, batch)
	})
	rows := got.rows[0]
	first := slices.IndexFunc(rows, func(r event.Record) bool { return r.Offset >= begin })
	if first < 10 || first > 30 {
		t.Errorf("%d rows before offset %d, want the two or three batches that were read", first, begin)
	}
	for i, row := range rows[max(first, 0):] {
		if row.Offset != begin+int64(i) {
			t.Fatalf("offset %d, want %d", row.Offset, begin+i)
		}
	}
	for _, want := range []string{"an offset has expired", "gap: records have expired"} {
		if strings.Count(told.String(), want) != 1 {
			t.Errorf("told %q, want %q once", told.String(), want)
		}
	}
}

// Without results, a consumer goes on where its group was.
func TestResumesAtTheCommittedOffset(t *testing.T) {
	cluster := start(t)
	send(t, cluster, logins(300)...)
	var first, second results
	drain(t, stream.ConsumerOptions{Cluster: cluster}, first.handle).Close()
	send(t, cluster, logins(50)...)
	drain(t, stream.ConsumerOptions{Cluster: cluster}, second.handle)
	if first.count() != 300 || second.count() != 50 {
		t.Errorf("%d events and then %d, want 300 and 50", first.count(), second.count())
	}
}

// Without names, positions are those of all topics but Kafka's own.
func TestPositionsOfAllTopics(t *testing.T) {
	cluster := start(t)
	if err := cluster.Ensure(t.Context(), 2, stream.Raw, "mine", "__internal"); err != nil {
		t.Fatal(err)
	}
	positions, err := cluster.Positions(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	partitions := map[string]int{}
	for _, p := range positions {
		partitions[p.Topic]++
	}
	if partitions[stream.Raw] != 2 || partitions["mine"] != 2 || partitions["__internal"] != 0 {
		t.Errorf("partitions by topic: %v", partitions)
	}
}

// What is deleted leaves no offsets to its successor.
func TestDelete(t *testing.T) {
	cluster := start(t)
	send(t, cluster, logins(300)...)
	var got results
	drain(t, stream.ConsumerOptions{Cluster: cluster, Results: &got}, got.handle).Close()
	topics := []string{stream.Raw, stream.Classified, stream.DeadLetter}
	for range 2 { // what is gone can be deleted again
		if err := cluster.Delete(t.Context(), stream.Group, topics...); err != nil {
			t.Fatal(err)
		}
	}
	if err := cluster.Ensure(t.Context(), stream.DefaultPartitions, topics...); err != nil {
		t.Fatal(err)
	}
	for partition, offset := range committed(t, cluster) {
		if offset != -1 {
			t.Errorf("partition %d: the group is at offset %d", partition, offset)
		}
	}
	positions, err := cluster.Positions(t.Context(), "", topics...)
	if err != nil || len(positions) != len(topics)*stream.DefaultPartitions {
		t.Errorf("%d partitions (%v)", len(positions), err)
	}
	for _, p := range positions {
		if p.End != 0 {
			t.Errorf("records are left: %+v", p)
		}
	}
}

// A broker that takes records and does not answer holds nobody up who gave up.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	producer, err := stream.NewProducer(t.Context(), stream.Cluster{Brokers: kafka.ListenAddrs()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	kafka.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		kafka.KeepControl()
		cancel()
		return nil, nil, true
	})
	if err := producer.Send(ctx, logins(1)...); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	closed := make(chan error, 1)
	go func() { closed <- producer.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(25 * time.Second): // the first attempt alone takes 30 s
		t.Error("Close waits for an answer that does not come")
	}
}
