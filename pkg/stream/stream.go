// Package stream carries events through Kafka: the topics, a producer, a
// consumer that resumes where the results end, dead letters, and lag.
package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"soclab/internal/address"
)

// The topics.
const (
	Raw        = "events.raw"        // events as JSON, key source.ip
	Classified = "events.classified" // events with their verdicts, at least once
	DeadLetter = "events.deadletter" // records that could not be decoded, at least once
)

// Group is the consumer group of the classifier.
const Group = "classifier"

// DefaultPartitions is how many partitions new topics get: so many consumers
// can share the work.
const DefaultPartitions = 3

// Headers of records in [Classified] and [DeadLetter]: where in [Raw] the
// record stands that they speak of. By these, repeated ones count once.
const (
	HeaderTopic     = "source.topic"
	HeaderPartition = "source.partition"
	HeaderOffset    = "source.offset"
	HeaderReason    = "error" // of dead letters: why the record was refused
)

// Cluster is a Kafka cluster. The zero value stands for the brokers that
// KAFKA_BROKERS names, separated by commas, else localhost:9092.
type Cluster struct {
	Brokers []string // host:port
}

func (c Cluster) brokers() []string {
	brokers, _ := address.Brokers(c.Brokers...)
	return brokers
}

// Addr is where a client of kafka-go finds the cluster.
func (c Cluster) Addr() net.Addr { return kafka.TCP(c.brokers()...) }

// patience is how long a broker may take over an answer. One that takes no
// connection is given up after the three seconds of kafka-go's dialer.
const patience = 30 * time.Second

// client talks to the cluster, and keeps its first view of the metadata: to see
// a topic that has just been created, take a new one.
func (c Cluster) client() (*kafka.Client, func()) {
	transport := &kafka.Transport{
		ClientID:    "soclab",
		DialTimeout: patience, // the first answer included
		MetadataTTL: patience, // also the time that each request for metadata is given
	}
	client := &kafka.Client{Addr: c.Addr(), Timeout: patience, Transport: transport}
	return client, transport.CloseIdleConnections
}

// unreachable adds to a connection's error what to do about it.
func (c Cluster) unreachable(verb string, err error) error {
	if networkFailed(err) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: no Kafka answers at %s (start one with `soclab stack` or `docker compose up`, or set KAFKA_BROKERS): %w",
			verb, strings.Join(c.brokers(), ", "), err)
	}
	return fmt.Errorf("%s at %s: %w", verb, strings.Join(c.brokers(), ", "), err)
}

// Ensure creates those of the topics that are missing and waits until all of
// them can be written and read. Topics that exist keep their partitions.
func (c Cluster) Ensure(ctx context.Context, partitions int, topics ...string) error {
	if partitions < 1 {
		return fmt.Errorf("create topics: %d partitions: want at least 1", partitions)
	}
	var missing []string
	err := settled(ctx, func() (err error) {
		missing, err = c.missing(ctx, topics)
		return err
	})
	if err != nil {
		return c.unreachable("create topics", err)
	}
	if len(missing) == 0 {
		return nil
	}
	var configs []kafka.TopicConfig
	for _, topic := range missing {
		// -1: the cluster's own default.
		configs = append(configs, kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: -1})
	}
	client, done := c.client()
	defer done()
	response, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: configs})
	if err != nil {
		return c.unreachable("create topics", err)
	}
	for topic, err := range response.Errors {
		if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", topic, err)
		}
	}
	// Another client may still see an older view of the cluster: a consumer
	// that joins its group before then never gets a partition (kafka-go #1414).
	deadline := time.Now().Add(30 * time.Second)
	for {
		missing, err = c.missing(ctx, topics)
		if err == nil && len(missing) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("create topics: %s did not become available in 30 s: %w", strings.Join(missing, ", "), err)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// missing lists the topics that do not exist or have a partition without a
// leader.
func (c Cluster) missing(ctx context.Context, topics []string) ([]string, error) {
	client, done := c.client()
	defer done()
	metadata, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
	if err != nil {
		return topics, err
	}
	var missing []string
	for _, topic := range topics {
		ready := slices.ContainsFunc(metadata.Topics, func(t kafka.Topic) bool {
			return t.Name == topic && t.Error == nil && len(t.Partitions) > 0 &&
				!slices.ContainsFunc(t.Partitions, func(p kafka.Partition) bool { return p.Error != nil })
		})
		if !ready {
			missing = append(missing, topic)
		}
	}
	return missing, nil
}

// temporary reports whether trying again may help: a broker that is starting,
// moving partitions or choosing a coordinator.
func temporary(err error) bool {
	var code kafka.Error
	return errors.As(err, &code) && code.Temporary()
}

// settled does what may fail for a moment on a broker that is starting, or
// that has just created or deleted a topic, until it does not; at most 20
// times, in 5 s.
func settled(ctx context.Context, do func() error) error {
	err := do()
	for tries := 1; temporary(err) && tries < 20; tries++ {
		if err := sleep(ctx, 250*time.Millisecond); err != nil {
			return err
		}
		err = do()
	}
	return err
}

// networkFailed reports whether a broker could not be reached, or went away.
func networkFailed(err error) bool {
	if _, ok := errors.AsType[kafka.Error](err); ok {
		return false // an answer, although it has the methods of a net.Error
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Position is how far a partition's log and a group's work on it go.
type Position struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	First     int64  `json:"first"`     // offset of the oldest record kept
	End       int64  `json:"end"`       // offset that the next record will get
	Committed int64  `json:"committed"` // next offset of the group, -1 where it committed none
}

// Lag is how many records wait for the group.
func (p Position) Lag() int64 { return max(0, p.End-max(p.First, p.Committed)) }

// Positions tells of every partition of the topics, in order, and of the
// group's place in each; without topics, of all that are not Kafka's own. An
// empty group leaves Committed at -1.
func (c Cluster) Positions(ctx context.Context, group string, topics ...string) ([]Position, error) {
	var all []Position
	err := settled(ctx, func() (err error) {
		all, err = c.positions(ctx, group, topics)
		return err
	})
	if err != nil {
		return nil, c.unreachable("read offsets", err)
	}
	return all, nil
}

func (c Cluster) positions(ctx context.Context, group string, topics []string) ([]Position, error) {
	client, done := c.client()
	defer done()
	metadata, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
	if err != nil {
		return nil, err
	}
	requests, partitions := map[string][]kafka.OffsetRequest{}, map[string][]int{}
	for _, topic := range metadata.Topics {
		if topic.Error != nil {
			return nil, fmt.Errorf("topic %s: %w", topic.Name, topic.Error)
		}
		if topic.Internal || strings.HasPrefix(topic.Name, "__") {
			continue
		}
		for _, p := range topic.Partitions {
			requests[topic.Name] = append(requests[topic.Name], kafka.FirstOffsetOf(p.ID), kafka.LastOffsetOf(p.ID))
			partitions[topic.Name] = append(partitions[topic.Name], p.ID)
		}
	}
	if len(requests) == 0 {
		return nil, nil
	}
	offsets, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: requests})
	if err != nil {
		return nil, err
	}
	committed := map[string]map[int]int64{}
	if group != "" {
		if committed, err = committedOffsets(ctx, client, group, partitions); err != nil {
			return nil, err
		}
	}
	var all []Position
	for topic, list := range offsets.Topics {
		for _, p := range list {
			if p.Error != nil {
				return nil, fmt.Errorf("%s/%d: %w", topic, p.Partition, p.Error)
			}
			position := Position{Topic: topic, Partition: p.Partition, First: p.FirstOffset, End: p.LastOffset, Committed: -1}
			if offset, ok := committed[topic][p.Partition]; ok {
				position.Committed = offset
			}
			all = append(all, position)
		}
	}
	slices.SortFunc(all, func(a, b Position) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), a.Partition-b.Partition)
	})
	return all, nil
}

func committedOffsets(ctx context.Context, client *kafka.Client, group string, partitions map[string][]int) (map[string]map[int]int64, error) {
	response, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: partitions})
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", group, err)
	}
	committed := map[string]map[int]int64{}
	for topic, list := range response.Topics {
		committed[topic] = map[int]int64{}
		for _, p := range list {
			if p.Error == nil {
				committed[topic][p.Partition] = p.CommittedOffset
			}
		}
	}
	return committed, nil
}

// Member is a consumer of a group and the partitions of a topic that it holds.
type Member struct {
	Client     string // its client id, which names program, host and process
	Host       string
	Partitions []int
}

func (m Member) String() string {
	return fmt.Sprintf("%s at %s holds %v", m.Client, strings.TrimPrefix(m.Host, "/"), m.Partitions)
}

// Members lists the consumers of a group.
func (c Cluster) Members(ctx context.Context, group, topic string) ([]Member, error) {
	client, done := c.client()
	defer done()
	response, err := client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return nil, c.unreachable("describe group "+group, err)
	}
	var members []Member
	for _, g := range response.Groups {
		for _, m := range g.Members {
			member := Member{Client: m.ClientID, Host: m.ClientHost}
			for _, t := range m.MemberAssignments.Topics {
				if t.Topic == topic {
					member.Partitions = slices.Sorted(slices.Values(t.Partitions))
				}
			}
			members = append(members, member)
		}
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Client, b.Client) })
	return members, nil
}

// Delete removes topics with all their records, and a group's offsets, and
// waits until the topics are gone. What does not exist is passed over.
func (c Cluster) Delete(ctx context.Context, group string, topics ...string) error {
	client, done := c.client()
	defer done()
	err := settled(ctx, func() error {
		groups, err := client.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
		if err == nil {
			err = groups.Errors[group]
		}
		return err
	})
	if err != nil && !errors.Is(err, kafka.GroupIdNotFound) {
		return c.unreachable("delete group "+group, err)
	}
	response, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: topics})
	if err != nil {
		return c.unreachable("delete topics", err)
	}
	for topic, err := range response.Errors {
		if err != nil && !errors.Is(err, kafka.UnknownTopicOrPartition) {
			return fmt.Errorf("delete topic %s: %w", topic, err)
		}
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		missing, err := c.missing(ctx, topics)
		if err == nil && len(missing) == len(topics) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("delete topics: of %s some were still there after 30 s: %w", strings.Join(topics, ", "), err)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}
