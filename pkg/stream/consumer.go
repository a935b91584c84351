package stream

import (
	"context"
	"errors"
	"fmt"
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

// Handler does the work on one batch: classify and store it. The batch is
// valid until it returns. Its context outlives a stop by a few seconds, so
// that a batch that was begun is finished.
type Handler func(ctx context.Context, batch *event.Batch) error

// Results is where a consumer's work ends up, which knows how far it got.
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

	MaxBatch int                  // new records at most; 0: what one fetch of 1 MiB holds
	Traces   *tracing.Traces      // may be nil
	Notice   func(message string) // told what a user should know; stderr by default
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
	if options.Notice == nil {
		options.Notice = func(message string) { fmt.Fprintln(os.Stderr, message) }
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
	err := c.group.Close()
	if written := c.deadLetters.Close(); err == nil {
		err = written
	}
	c.deadLetters.Transport.(*kafka.Transport).CloseIdleConnections()
	return err
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
			// kafka-go reports each failed attempt to join, then tries again.
			var read *net.OpError
			switch {
			case temporary(err), errors.Is(err, kafka.RebalanceInProgress):
			case errors.As(err, &read) && read.Op == "read" && read.Timeout():
				c.trouble(fmt.Errorf("join group %s: it waits for a member that does not answer, as after a kill: %w", c.options.Group, err))
			default:
				c.trouble(c.options.Cluster.unreachable("join group "+c.options.Group, err))
			}
			continue
		}
		ended := make(chan error, 1)
		generation.Start(func(over context.Context) { ended <- c.generation(ctx, over, generation, handle, until) })
		if err := <-ended; err != nil || ctx.Err() != nil || until != nil && until.reached {
			return err
		}
	}
}

// trouble tells once of a failure of Kafka that is waited out.
func (c *Consumer) trouble(err error) {
	if !c.troubled {
		c.options.Notice(err.Error() + " (trying on)")
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

// generation handles the partitions of one generation until that is over, ctx
// ends, the drain's goal is reached or an error occurs.
func (c *Consumer) generation(ctx, over context.Context, generation *kafka.Generation, handle Handler, until *drain) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer context.AfterFunc(over, stop)()
	batchCtx, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, abort) })()

	assigned := generation.Assignments[Raw]
	if len(assigned) == 0 {
		c.idle(ctx)
	}
	readers, err := c.readers(ctx, assigned)
	if errors.Is(err, errTryAgain) || err != nil && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	c.troubled = false
	handled := map[int]int64{} // next offsets of the partitions held
	queue := make(chan work)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer stop()
	for _, reader := range readers {
		reading.Go(func() {
			defer stop() // one reader that gives up ends the generation: its partition is assigned anew
			reader.read(ctx, queue)
		})
	}
	commit := func(partition int, next int64) {
		handled[partition] = next
		// Only others read the committed offsets: one that fails is made good by the next.
		_ = generation.CommitOffsets(map[string]map[int]int64{Raw: {partition: next}})
	}
	poll := time.NewTicker(250 * time.Millisecond)
	defer poll.Stop()
	for {
		if until != nil && until.by(handled) {
			until.reached = true
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
			if until == nil || len(handled) < len(assigned) {
				continue
			}
			// The other partitions are for others to finish.
			committed, err := c.committed(ctx)
			if err == nil && until.by(handled, without(committed, assigned)) {
				until.reached = true
				return nil
			}
		case w := <-queue:
			if err := c.handle(batchCtx, w.batch, handle); err != nil {
				if over.Err() != nil && batchCtx.Err() != nil {
					return nil // it could not be finished in time: the next generation begins with it
				}
				return err
			}
			if w.batch == nil || !w.batch.Replay {
				commit(w.partition, w.next)
			}
			if w.batch != nil {
				w.done <- w.batch
			}
		}
	}
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
	c.options.Notice(fmt.Sprintf("This consumer stands idle: every partition of %s is held by another one of group %s (%s). "+
		"It takes over when one of them stops; more partitions let more consumers work.",
		Raw, c.options.Group, strings.Join(holders, "; ")))
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
