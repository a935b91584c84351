package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"soclab/pkg/event"
	"soclab/pkg/tracing"
)

// grace is how long a batch may still take after the consumer was told to stop.
const grace = 5 * time.Second

// Handler does the work on one batch: classify it and give it to the sinks. The
// batch is valid until it returns. Its context outlives a stop by a few seconds, so
// that a batch that was begun is finished.
type Handler func(ctx context.Context, batch *event.Batch) error

// Results is a sink that knows how far it got.
type Results interface {
	// Last returns the offset and the event id of the last result of a
	// partition, and false where there is none.
	Last(partition int) (offset int64, eventID string, ok bool, err error)
	// PutAside begins anew, because the results speak of records that the
	// topic does not hold. It returns the name that the old results have now,
	// empty where another consumer put them aside.
	PutAside() (name string, err error)
}

// ConsumerOptions tells a consumer what to read and where to begin.
type ConsumerOptions struct {
	Cluster Cluster
	Group   string // Group by default

	// Results decides where to go on: after its last result. The offsets that
	// the group commits only tell others of its lag. Without Results, reading
	// goes on at the committed offsets, else at the begin.
	Results Results

	// History is how many records before that are read again first, in batches
	// marked Replay: what the classifier's correlations look back on.
	History int64

	MaxBatch int             // new records at most; 0: what one fetch of 1 MiB holds
	Traces   *tracing.Traces // may be nil
	Log      *slog.Logger    // of what a user should know; slog.Default by default
}

// Consumer reads the events of [Raw] as a member of a consumer group, which
// shares the partitions among its members.
type Consumer struct {
	options     ConsumerOptions
	group       *kafka.ConsumerGroup
	dialer      *kafka.Dialer
	deadLetters *kafka.Writer

	events, refused atomic.Int64
	troubled        bool // the user was told that Kafka fails, and it has not worked since
}

// NewConsumer joins the group. It creates the three topics where they are
// missing. The caller must Close the consumer.
func NewConsumer(ctx context.Context, options ConsumerOptions) (*Consumer, error) {
	if options.Group == "" {
		options.Group = Group
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	// A group that is joined before its topic exists never gets a partition.
	if err := options.Cluster.Ensure(ctx, DefaultPartitions, Raw, Classified, DeadLetter); err != nil {
		return nil, err
	}
	dialer := &kafka.Dialer{ClientID: clientID(options.Group), Timeout: 3 * time.Second, DialFunc: dialBuffered}
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: options.Group, Brokers: options.Cluster.brokers(), Topics: []string{Raw}, Dialer: dialer,
		HeartbeatInterval: 500 * time.Millisecond, SessionTimeout: 6 * time.Second, RebalanceTimeout: 6 * time.Second,
		JoinGroupBackoff: 300 * time.Millisecond, StartOffset: kafka.FirstOffset,
		WatchPartitionChanges: true, PartitionWatchInterval: 5 * time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("join group %s: %w", options.Group, err)
	}
	return &Consumer{options: options, group: group, dialer: dialer, deadLetters: newWriter(options.Cluster)}, nil
}

// Close leaves the group, so that others get the partitions at once.
func (c *Consumer) Close() error {
	return errors.Join(c.group.Close(), closeWriter(c.deadLetters))
}

// Counts returns how many events were handled and how many records became dead
// letters. Replayed ones are in neither.
func (c *Consumer) Counts() (events, deadLetters int64) {
	return c.events.Load(), c.refused.Load()
}

// Run hands batches to handle, one at a time, until ctx ends; then it finishes
// the batch at hand and returns nil. It returns the first error of handle.
// Kafka's failures are waited out.
func (c *Consumer) Run(ctx context.Context, handle Handler) error {
	return c.consume(ctx, handle, nil)
}

// Drain is Run that ends when all that the topic held when Drain began has
// been handled, by this consumer or by others of its group. If ctx ends before
// that, it returns the context's error.
func (c *Consumer) Drain(ctx context.Context, handle Handler) error {
	positions, err := c.options.Cluster.Positions(ctx, "", Raw)
	if err != nil {
		return err
	}
	goal := map[int]int64{}
	for _, p := range positions {
		if p.End > p.First {
			goal[p.Partition] = p.End
		}
	}
	if err := c.consume(ctx, handle, &drain{goal: goal}); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// drain is where Drain is to end.
type drain struct {
	goal    map[int]int64 // by partition
	reached bool
}

// by reports whether the offsets reach the goal in every partition.
func (d *drain) by(offsets ...map[int]int64) bool {
	for partition, goal := range d.goal {
		if !slices.ContainsFunc(offsets, func(o map[int]int64) bool { return o[partition] >= goal }) {
			return false
		}
	}
	return true
}

// consume works through the generations of the group: spans of time in which
// its members keep their partitions.
func (c *Consumer) consume(ctx context.Context, handle Handler, until *drain) error {
	if until != nil && len(until.goal) == 0 {
		return nil // nothing to do
	}
	for {
		generation, err := c.group.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, kafka.ErrGroupClosed) {
			return fmt.Errorf("consume %s: the consumer is closed", Raw)
		}
		if err != nil {
			c.joinFailed(err)
			continue
		}
		s := session{Consumer: c, generation: generation, assigned: generation.Assignments[Raw], until: until, handled: map[int]int64{}}
		ended := make(chan error, 1)
		generation.Start(func(over context.Context) { ended <- s.run(ctx, over, handle) })
		if err := <-ended; err != nil || ctx.Err() != nil || until != nil && until.reached {
			return err
		}
	}
}

// joinFailed tells of a failed attempt to join the group, where it is more than
// the group's usual business. kafka-go tries again by itself.
func (c *Consumer) joinFailed(err error) {
	var read *net.OpError
	switch {
	case temporary(err), errors.Is(err, kafka.RebalanceInProgress):
	case errors.As(err, &read) && read.Op == "read" && read.Timeout():
		c.trouble(fmt.Errorf("join group %s: it waits for a member that does not answer, as after a kill: %w", c.options.Group, err))
	default:
		c.trouble(c.options.Cluster.unreachable("join group "+c.options.Group, err))
	}
}

// trouble tells once of a failure of Kafka that is waited out.
func (c *Consumer) trouble(err error) {
	if !c.troubled {
		c.options.Log.Warn("retrying until Kafka works", "error", err)
	}
	c.troubled = true
}

// work is what a partition's reader has for the handler.
type work struct {
	batch     *event.Batch
	partition int
	next      int64 // the offset after the last record read
	done      chan<- *event.Batch
}

// session is what the consumer does in one generation of its group.
type session struct {
	*Consumer
	generation *kafka.Generation
	assigned   []kafka.PartitionAssignment
	until      *drain
	handled    map[int]int64 // next offsets of the partitions held, once they are known
}

// run handles the partitions that are assigned until the generation is over,
// ctx ends, the drain's goal is reached or an error occurs.
func (s *session) run(ctx, over context.Context, handle Handler) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(over, stop)()
	if len(s.assigned) == 0 {
		s.idle(ctx)
	}
	readers, err := s.readers(ctx, s.assigned)
	if errors.Is(err, errTryAgain) || err != nil && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	s.troubled = false
	queue := make(chan work)
	var reading sync.WaitGroup
	for _, r := range readers {
		reading.Go(func() {
			r.read(ctx, queue)
			stop() // one reader that gives up ends the session: its partition is assigned anew
		})
	}
	err = s.handleAll(ctx, over, queue, handle)
	stop()
	reading.Wait()
	return err
}

// handleAll handles what the readers queue, batch by batch.
func (s *session) handleAll(ctx, over context.Context, queue <-chan work, handle Handler) error {
	batchCtx, cancel := outliving(ctx, grace)
	defer cancel()
	poll := time.NewTicker(250 * time.Millisecond)
	defer poll.Stop()
	for {
		if s.until != nil && s.until.by(s.handled) {
			s.until.reached = true
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
			if s.until != nil && len(s.handled) == len(s.assigned) && s.othersDone(ctx) {
				s.until.reached = true
				return nil
			}
		case w := <-queue:
			if err := s.handle(batchCtx, w.batch, handle); err != nil {
				if over.Err() != nil && batchCtx.Err() != nil {
					return nil // it could not be finished in time: the next session begins with it
				}
				return err
			}
			if w.batch == nil || !w.batch.Replay {
				s.commit(w.partition, w.next)
			}
			if w.batch != nil {
				w.done <- w.batch
			}
		}
	}
}

// commit notes that a partition is handled up to an offset. Kafka is told for
// those who look at the lag: a commit that fails is made good by the next.
func (s *session) commit(partition int, next int64) {
	s.handled[partition] = next
	_ = s.generation.CommitOffsets(map[string]map[int]int64{Raw: {partition: next}})
}

// othersDone reports whether the drain's goal is reached by what this consumer
// has handled and by what others have committed for partitions of their own.
func (s *session) othersDone(ctx context.Context) bool {
	committed, err := s.committed(ctx)
	return err == nil && s.until.by(s.handled, without(committed, s.assigned))
}

// outliving returns a context that ends a while after ctx does.
func outliving(ctx context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(while, cancel) })
	return lasting, func() { stop(); cancel() }
}

func without(offsets map[int]int64, assigned []kafka.PartitionAssignment) map[int]int64 {
	for _, mine := range assigned {
		delete(offsets, mine.ID)
	}
	return offsets
}

func (c *Consumer) handle(ctx context.Context, batch *event.Batch, handle Handler) error {
	if batch == nil {
		return nil
	}
	defer endSpans(batch)
	if err := handle(ctx, batch); err != nil {
		first := batch.Records[0].Offset
		return fmt.Errorf("%s/%d from offset %d: %w", batch.Topic, batch.Partition, first, err)
	}
	if !batch.Replay {
		c.events.Add(int64(len(batch.Records)))
	}
	return nil
}

// idle tells who holds the partitions when none is left for this consumer.
func (c *Consumer) idle(ctx context.Context) {
	members, err := c.options.Cluster.Members(ctx, c.options.Group, Raw)
	if err != nil {
		return
	}
	var holders []string
	for _, m := range members {
		if len(m.Partitions) > 0 {
			holders = append(holders, m.String())
		}
	}
	c.options.Log.Info("this consumer stands idle: others hold every partition; it takes over when one of them stops, and more partitions let more consumers work",
		"topic", Raw, "group", c.options.Group, "held by", strings.Join(holders, "; "))
}

func (c *Consumer) committed(ctx context.Context) (map[int]int64, error) {
	positions, err := c.options.Cluster.Positions(ctx, c.options.Group, Raw)
	if err != nil {
		return nil, err
	}
	offsets := map[int]int64{}
	for _, p := range positions {
		offsets[p.Partition] = p.Committed
	}
	return offsets, nil
}

// clientID names this process, for those who look who holds a partition.
func clientID(role string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("soclab-%s-%s-%d", role, host, os.Getpid())
}
