package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/segmentio/kafka-go"

	"soclab/internal/message"
	"soclab/pkg/stream"
)

// Topic is a topic with its partitions in order.
type Topic struct {
	Name       string
	Partitions []stream.Position
}

// Messages is the number of offsets that the topic's logs span.
func (t *Topic) Messages() (n int64) {
	for _, p := range t.Partitions {
		n += p.End - p.First
	}
	return n
}

// Message is a message as a page shows it.
type Message struct {
	message.Message
	Long string // the value: JSON set out, other text as it is, and bytes that are no text as a hex dump
	Size int    // of the value, in bytes
}

const (
	maxText   = 16 << 10 // bytes of a key or value that a page shows
	maxNested = 100      // lists and objects in JSON that is set out: each is indented more than that around it
)

func newMessage(m kafka.Message) Message {
	size := len(m.Value)
	m.Key, m.Value = start(m.Key), start(m.Value)
	long := string(m.Value)
	var indented bytes.Buffer
	switch {
	case !utf8.Valid(m.Value):
		m.Value = m.Value[:min(len(m.Value), 1<<10)]
		long = hex.Dump(m.Value)
	case bytes.Count(m.Value, []byte("{"))+bytes.Count(m.Value, []byte("[")) > maxNested:
	case json.Indent(&indented, m.Value, "", "  ") == nil:
		long = indented.String()
	}
	if more := size - len(m.Value); more > 0 {
		long += fmt.Sprintf("\n… %d bytes more", more)
	}
	return Message{Message: message.New(m), Long: long, Size: size}
}

// start is as much of a text as a page shows.
func start(data []byte) []byte {
	shown := data[:min(len(data), maxText)]
	for len(shown) < len(data) && len(shown) > 0 && !utf8.RuneStart(data[len(shown)]) {
		shown = shown[:len(shown)-1] // not within a character
	}
	return shown
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

func (t *Topic) partition(id int) *stream.Position {
	for i := range t.Partitions {
		if t.Partitions[i].Partition == id {
			return &t.Partitions[i]
		}
	}
	return nil
}

// span is the range of offsets of p that the window shows: from, up to and
// without to.
func (w window) span(p stream.Position) (from, to int64) {
	switch w.Offset {
	case newest:
		from = p.End - int64(w.Size)
	case oldest:
		from = p.First
	default:
		from = w.Offset
	}
	from = min(max(from, p.First), p.End)
	return from, from + min(int64(w.Size), p.End-from)
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
	if to >= p.End {
		return nil
	}
	return &window{w.Partition, to, w.Size}
}

// topics returns all topics but the cluster's own, by name.
func (c *Console) topics(ctx context.Context) (topics []*Topic, err error) {
	positions, err := c.cluster.Positions(ctx, "")
	for _, p := range positions {
		if len(topics) == 0 || topics[len(topics)-1].Name != p.Topic {
			topics = append(topics, &Topic{Name: p.Topic})
		}
		last := topics[len(topics)-1]
		last.Partitions = append(last.Partitions, p)
	}
	return topics, err
}

// topic returns one topic, nil if there is none of that name.
func (c *Console) topic(ctx context.Context, name string) (*Topic, error) {
	topics, err := c.topics(ctx)
	for _, topic := range topics {
		if topic.Name == name {
			return topic, nil
		}
	}
	return nil, err
}

// messages reads the messages of a window, the newest first.
func (c *Console) messages(ctx context.Context, topic *Topic, w window) ([]Message, error) {
	var all []Message
	for _, p := range topic.Partitions {
		if w.Partition >= 0 && p.Partition != w.Partition {
			continue
		}
		from, to := w.span(p)
		if from == to {
			continue
		}
		for m, err := range c.cluster.Messages(ctx, topic.Name, p.Partition, from) {
			if err != nil {
				return nil, err
			}
			if m.Offset >= to {
				break
			}
			all = append(all, newMessage(m))
		}
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
