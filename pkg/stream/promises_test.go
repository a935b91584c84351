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
