package broker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"soclab/internal/broker"
)

// TestMain runs a broker alone, to be killed, when a test asks for it.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BROKER_TEST_DIR"); dir != "" {
		b, err := broker.Start(broker.Options{Dir: dir})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(b.Addr())
		select {}
	}
	os.Exit(m.Run())
}

func start(t *testing.T, opts broker.Options) *broker.Broker {
	t.Helper()
	b, err := broker.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func createTopic(t *testing.T, addr, topic string, partitions int) {
	t.Helper()
	client := &kafka.Client{Addr: kafka.TCP(addr)}
	response, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1},
	}})
	if err = errors.Join(err, response.Errors[topic]); err != nil {
		t.Fatal(err)
	}
}

// produce writes messages to partition 0 of topic, acknowledged by the broker.
func produce(t *testing.T, addr, topic string, values ...string) {
	t.Helper()
	w := &kafka.Writer{Addr: kafka.TCP(addr), Topic: topic, RequiredAcks: kafka.RequireAll,
		BatchTimeout: time.Millisecond, Transport: &kafka.Transport{}}
	messages := make([]kafka.Message, len(values))
	for i, value := range values {
		messages[i].Value = []byte(value)
	}
	if err := errors.Join(w.WriteMessages(t.Context(), messages...), w.Close()); err != nil {
		t.Fatal(err)
	}
}

func consume(t *testing.T, addr, topic string, n int) (values []string) {
	t.Helper()
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{addr}, Topic: topic, MaxWait: 100 * time.Millisecond})
	defer r.Close()
	for range n {
		m, err := r.ReadMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, string(m.Value))
	}
	return values
}

func TestTopicsAreNotCreatedByNamingThem(t *testing.T) {
	b := start(t, broker.Options{Dir: t.TempDir()})
	defer b.Close()
	conn, err := kafka.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ReadPartitions("nothing"); !errors.Is(err, kafka.UnknownTopicOrPartition) {
		t.Errorf("partitions of a topic that was never created: error %v, want %v", err, kafka.UnknownTopicOrPartition)
	}
}

func TestListensOnLoopbackOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":9092", "192.0.2.1:9092", "127.0.0.1", "127.0.0.1:kafka"} {
		if b, err := broker.Start(broker.Options{Dir: t.TempDir(), Addr: addr}); err == nil {
			b.Close()
			t.Errorf("Start on %q: no error", addr)
		}
	}
}

func TestTakenPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	b, err := broker.Start(broker.Options{Dir: t.TempDir(), Addr: ln.Addr().String()})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Start on a taken port: %v, %v, want %v", b, err, syscall.EADDRINUSE)
	}
}

func TestSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), "BROKER_TEST_DIR="+dir)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var addr string
	if _, err := fmt.Fscanln(stdout, &addr); err != nil {
		t.Fatal(err)
	}
	createTopic(t, addr, "events.raw", 1)
	var sent []string
	for i := range 1000 {
		sent = append(sent, fmt.Sprint("event ", i))
	}
	produce(t, addr, "events.raw", sent...)
	g := join(t, addr)
	if err := g.CommitOffsets(map[string]map[int]int64{"events.raw": {0: 600}}); err != nil {
		t.Fatal(err)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	command.Wait()

	b := start(t, broker.Options{Dir: dir})
	defer b.Close()
	if got := consume(t, b.Addr(), "events.raw", len(sent)); strings.Join(got, "\n") != strings.Join(sent, "\n") {
		t.Errorf("after the kill the topic holds %d other messages than were acknowledged", len(got))
	}
	produce(t, b.Addr(), "events.raw", "one more")
	if got := consume(t, b.Addr(), "events.raw", len(sent)+1); got[len(sent)] != "one more" {
		t.Errorf("the next message reads %q", got[len(sent)])
	}
	checkGroup(t, b.Addr(), 600)
}

// TestGroupsStartWithoutMembers stops a broker in order while a group has a
// member, which kfake would bring back.
func TestGroupsStartWithoutMembers(t *testing.T) {
	dir := t.TempDir()
	b := start(t, broker.Options{Dir: dir})
	createTopic(t, b.Addr(), "events.raw", 1)
	g := join(t, b.Addr())
	if err := g.CommitOffsets(map[string]map[int]int64{"events.raw": {0: 7}}); err != nil {
		t.Fatal(err)
	}
	b.Close()

	b = start(t, broker.Options{Dir: dir})
	defer b.Close()
	checkGroup(t, b.Addr(), 7)
}

// join joins group classifier and leaves the member hanging until the test
// ends, with a session that outlasts the test.
func join(t *testing.T, addr string) *kafka.Generation {
	t.Helper()
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: "classifier", Brokers: []string{addr}, Topics: []string{"events.raw"},
		SessionTimeout: time.Minute, RebalanceTimeout: time.Minute, HeartbeatInterval: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { group.Close() })
	g, err := group.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// checkGroup checks that group classifier has no members and the committed
// offset of events.raw/0.
func checkGroup(t *testing.T, addr string, offset int64) {
	t.Helper()
	client := &kafka.Client{Addr: kafka.TCP(addr), Transport: &kafka.Transport{}}
	described, err := client.DescribeGroups(t.Context(), &kafka.DescribeGroupsRequest{GroupIDs: []string{"classifier"}})
	if err != nil {
		t.Fatal(err)
	}
	if g := described.Groups[0]; g.Error != nil || len(g.Members) != 0 {
		t.Errorf("group after the restart: error %v, members %v, want none", g.Error, g.Members)
	}
	offsets, err := client.OffsetFetch(t.Context(), &kafka.OffsetFetchRequest{
		GroupID: "classifier", Topics: map[string][]int{"events.raw": {0}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := offsets.Topics["events.raw"][0].CommittedOffset; got != offset {
		t.Errorf("committed offset after the restart is %d, want %d", got, offset)
	}
}

func TestRetention(t *testing.T) {
	dir := t.TempDir()
	b := start(t, broker.Options{Dir: dir})
	createTopic(t, b.Addr(), "events.raw", 1)
	value := strings.Repeat("x", 64<<10)
	const n = 1100 // 68 MiB: five segments
	values := make([]string, n)
	for i := range values {
		values[i] = value
	}
	produce(t, b.Addr(), "events.raw", values...)
	b.Close()

	b = start(t, broker.Options{Dir: dir, Retention: 16 << 20})
	defer b.Close()
	first := int64(0)
	for deadline := time.Now().Add(10 * time.Second); first == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		conn, err := kafka.DialLeader(t.Context(), "tcp", b.Addr(), "events.raw", 0)
		if err != nil {
			t.Fatal(err)
		}
		if first, _, err = conn.ReadOffsets(); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	if kept := (n - first) * int64(len(value)); kept > 17<<20 || kept < 14<<20 {
		t.Errorf("after retention of 16 MiB the log begins at %d: %d bytes are left", first, kept)
	}
	if _, err := os.Stat(filepath.Join(dir, "partitions", "events.raw-0", "0.dat")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the oldest segment file after retention: %v, want %v", err, os.ErrNotExist)
	}
}

// TestTornTail has a crash cut the log within a record batch.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	b := start(t, broker.Options{Dir: dir})
	createTopic(t, b.Addr(), "events.raw", 1)
	log := filepath.Join(dir, "partitions", "events.raw-0")
	var ends []int64 // of the log file, after each batch
	for i := range 3 {
		produce(t, b.Addr(), "events.raw", fmt.Sprint("a", i), fmt.Sprint("b", i))
		info, err := os.Stat(filepath.Join(log, "0.dat"))
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	b.Close()
	whole := []string{"a0", "b0", "a1", "b1", "a2", "b2"}
	for _, size := range []int64{ends[2] - 1, ends[1] + 70, ends[1] + 5, ends[1], ends[0] - 1, 0} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(dir, os.DirFS(filepath.Dir(filepath.Dir(log)))); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(filepath.Join(dir, "partitions", "events.raw-0", "0.dat"), size); err != nil {
				t.Fatal(err)
			}
			want := []string{}
			for i, end := range ends {
				if size >= end {
					want = whole[:2*i+2]
				}
			}
			b := start(t, broker.Options{Dir: dir})
			produce(t, b.Addr(), "events.raw", "after")
			b.Close()
			b = start(t, broker.Options{Dir: dir})
			defer b.Close()
			want = append(slices.Clip(want), "after")
			if got := consume(t, b.Addr(), "events.raw", len(want)); !slices.Equal(got, want) {
				t.Errorf("the log holds %q, want %q", got, want)
			}
		})
	}
}

// TestHostileClient sends what would stop or swell an unguarded kfake.
func TestHostileClient(t *testing.T) {
	b := start(t, broker.Options{Dir: t.TempDir()})
	defer b.Close()
	for _, hostile := range []string{
		"\x00\x00\x00\x64\x03\xe7\x00\x00\x00\x00\x00\x01", // API key 999
		"\x7f\xff\xff\xff\x00\x03\x00\x01\x00\x00\x00\x01", // a request of 2 GiB
		"GET / HTTP/1.1\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, hostile)
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %q: read %d bytes, error %v; want a closed connection", hostile, n, err)
		}
		conn.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := (&kafka.Client{Addr: kafka.TCP(b.Addr())}).ApiVersions(ctx, &kafka.ApiVersionsRequest{}); err != nil {
		t.Errorf("the broker is gone: %v", err)
	}
}
