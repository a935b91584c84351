package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/segmentio/kafka-go"
)

// Topic is a topic with its partitions in order.
type Topic struct {
	Name       string
	Partitions []Partition
}

// Partition is a partition's number and the offsets that its log spans: First
// up to, and without, Next.
type Partition struct {
	ID          int
	First, Next int64
}

// Messages is the number of offsets that the log spans.
func (p Partition) Messages() int64 { return p.Next - p.First }

// Messages is the number of offsets that the topic's logs span.
func (t *Topic) Messages() (n int64) {
	for _, p := range t.Partitions {
		n += p.Messages()
	}
	return n
}

// Message is a message as a page shows it.
type Message struct {
	Partition  int
	Offset     int64
	Time       time.Time
	Key, Value Text
	Headers    []Header
}

// Header is one header of a message.
type Header struct{ Key, Value string }

// maxText is how many bytes of a key or value a page shows.
const maxText = 16 << 10

// Text is a key or value made readable: JSON set out, other text as it is, and
// bytes that are no text as a hex dump.
type Text struct {
	Short string // one line
	Long  string
	Null  bool
	Size  int // in bytes
}

func newText(data []byte) Text {
	t := Text{Null: data == nil, Size: len(data)}
	shown := data[:min(len(data), maxText)]
	for len(shown) < len(data) && len(shown) > 0 && !utf8.RuneStart(data[len(shown)]) {
		shown = shown[:len(shown)-1] // not within a character
	}
	var indented bytes.Buffer
	switch {
	case len(shown) == len(data) && json.Indent(&indented, data, "", "  ") == nil:
		t.Short, t.Long = string(data), indented.String()
	case utf8.Valid(shown):
		t.Short, t.Long = string(shown), string(shown)
	default:
		shown = shown[:min(len(shown), 1<<10)]
		t.Short, t.Long = fmt.Sprintf("% x", shown), hex.Dump(shown)
	}
	if short := []rune(t.Short); len(short) > 200 {
		t.Short = string(short[:200]) + "…"
	}
	if len(shown) < len(data) {
		t.Long += fmt.Sprintf("\n… %d bytes more", len(data)-len(shown))
	}
	return t
}

// window says which messages a page shows.
type window struct {
	Partition int   // -1 for all
	Offset    int64 // of the oldest one shown; newest or oldest, which are negative
	Size      int   // how many messages
}

// Redpanda Console's names for both ends of a log.
const (
	newest = -1
	oldest = -2
)

// parseWindow reads Console's query parameters: p (partition, -1 for all), o
// (offset, -1 for the newest messages, -2 for the oldest) and s (how many).
func parseWindow(query url.Values, topic *Topic) window {
	number := func(name string, otherwise int64) int64 {
		if n, err := strconv.ParseInt(query.Get(name), 10, 64); err == nil {
			return n
		}
		return otherwise
	}
	w := window{
		Partition: int(number("p", -1)),
		Offset:    number("o", newest),
		Size:      int(min(500, max(1, number("s", 50)))),
	}
	if topic.partition(w.Partition) == nil {
		w.Partition = -1
	}
	if w.Offset < 0 && w.Offset != oldest {
		w.Offset = newest
	}
	return w
}

func (t *Topic) partition(id int) *Partition {
	for i := range t.Partitions {
		if t.Partitions[i].ID == id {
			return &t.Partitions[i]
		}
	}
	return nil
}

// span is the range of offsets of p that the window shows: from, up to and
// without to.
func (w window) span(p Partition) (from, to int64) {
	switch w.Offset {
	case newest:
		from = p.Next - int64(w.Size)
	case oldest:
		from = p.First
	default:
		from = w.Offset
	}
	from = min(max(from, p.First), p.Next)
	return from, from + min(int64(w.Size), p.Next-from)
}

// Older and Newer are the windows beside this one in a single partition, nil at
// the ends of its log.
func (w window) Older(t *Topic) *window {
	p := t.partition(w.Partition)
	if p == nil {
		return nil
	}
	from, _ := w.span(*p)
	if from <= p.First {
		return nil
	}
	return &window{w.Partition, max(p.First, from-int64(w.Size)), w.Size}
}

// Newer: see [window.Older].
func (w window) Newer(t *Topic) *window {
	p := t.partition(w.Partition)
	if p == nil {
		return nil
	}
	_, to := w.span(*p)
	if to >= p.Next {
		return nil
	}
	return &window{w.Partition, to, w.Size}
}

// topics returns all topics but the cluster's own, by name.
func (c *Console) topics(ctx context.Context) ([]*Topic, error) {
	metadata, err := c.client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	request := &kafka.ListOffsetsRequest{Topics: make(map[string][]kafka.OffsetRequest)}
	for _, t := range metadata.Topics {
		if t.Internal || strings.HasPrefix(t.Name, "__") {
			continue
		}
		for _, p := range t.Partitions {
			request.Topics[t.Name] = append(request.Topics[t.Name], kafka.FirstOffsetOf(p.ID), kafka.LastOffsetOf(p.ID))
		}
	}
	if len(request.Topics) == 0 {
		return nil, nil
	}
	offsets, err := c.client.ListOffsets(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	var topics []*Topic
	for name, partitions := range offsets.Topics {
		topic := &Topic{Name: name}
		for _, p := range partitions {
			if p.Error != nil {
				return nil, fmt.Errorf("list offsets of %s/%d: %w", name, p.Partition, p.Error)
			}
			topic.Partitions = append(topic.Partitions, Partition{p.Partition, p.FirstOffset, p.LastOffset})
		}
		slices.SortFunc(topic.Partitions, func(a, b Partition) int { return cmp.Compare(a.ID, b.ID) })
		topics = append(topics, topic)
	}
	slices.SortFunc(topics, func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) })
	return topics, nil
}

// topic returns one topic, nil if there is none of that name.
func (c *Console) topic(ctx context.Context, name string) (*Topic, error) {
	topics, err := c.topics(ctx)
	if err != nil {
		return nil, err
	}
	for _, topic := range topics {
		if topic.Name == name {
			return topic, nil
		}
	}
	return nil, nil
}

// messages reads the messages of a window, the newest first.
func (c *Console) messages(ctx context.Context, topic *Topic, w window) ([]Message, error) {
	var all []Message
	for _, p := range topic.Partitions {
		if w.Partition >= 0 && p.ID != w.Partition {
			continue
		}
		from, to := w.span(p)
		read, err := c.read(ctx, topic.Name, p.ID, from, to)
		if err != nil {
			return nil, fmt.Errorf("read %s/%d at offset %d: %w", topic.Name, p.ID, from, err)
		}
		all = append(all, read...)
	}
	slices.SortFunc(all, func(a, b Message) int {
		if w.Partition >= 0 {
			return cmp.Compare(b.Offset, a.Offset)
		}
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Offset, a.Offset), cmp.Compare(a.Partition, b.Partition))
	})
	if w.Offset == oldest {
		return all[max(0, len(all)-w.Size):], nil
	}
	return all[:min(len(all), w.Size)], nil
}

// read reads the messages of one partition from one offset up to another,
// which it leaves out.
func (c *Console) read(ctx context.Context, topic string, partition int, from, to int64) ([]Message, error) {
	var messages []Message
	for from < to {
		response, err := c.client.Fetch(ctx, &kafka.FetchRequest{
			Topic: topic, Partition: partition, Offset: from,
			MinBytes: 1, MaxBytes: 4 << 20, MaxWait: time.Second,
		})
		if err == nil {
			err = response.Error
		}
		if err != nil {
			return nil, err
		}
		next := from
		for next < to {
			record, err := response.Records.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			// A batch is sent whole: what lies before the offset is passed over.
			if record.Offset >= from && record.Offset < to {
				message, err := newMessage(partition, record)
				if err != nil {
					return nil, err
				}
				messages = append(messages, message)
			}
			next = max(next, record.Offset+1)
		}
		if next == from { // nothing is left there, after compaction
			break
		}
		from = next
	}
	return messages, nil
}

func newMessage(partition int, record *kafka.Record) (Message, error) {
	m := Message{Partition: partition, Offset: record.Offset, Time: record.Time}
	var err error
	if m.Key, err = readText(record.Key); err != nil {
		return m, err
	}
	if m.Value, err = readText(record.Value); err != nil {
		return m, err
	}
	for _, h := range record.Headers {
		m.Headers = append(m.Headers, Header{h.Key, newText(h.Value).Short})
	}
	return m, nil
}

func readText(data kafka.Bytes) (Text, error) {
	if data == nil {
		return newText(nil), nil
	}
	defer data.Close()
	all, err := kafka.ReadAll(data)
	return newText(all), err
}
