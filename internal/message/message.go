// Package message writes Kafka's messages as text that a terminal or a page can
// show, whoever sent them.
package message

import (
	"time"

	"github.com/segmentio/kafka-go"

	"soclab/pkg/human"
)

// Message is a message as text.
type Message struct {
	Partition int       `json:"partition"`
	Offset    int64     `json:"offset"`
	Time      time.Time `json:"time"` // UTC
	Key       string    `json:"key"`
	Headers   []Header  `json:"headers"`
	Value     string    `json:"value"`
}

// Header is one header of a message.
type Header struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// New makes a message printable.
func New(m kafka.Message) Message {
	shown := Message{
		Partition: m.Partition, Offset: m.Offset, Time: m.Time.UTC(),
		Key: human.Printable(string(m.Key)), Headers: []Header{}, Value: human.Printable(string(m.Value)),
	}
	for _, h := range m.Headers {
		shown.Headers = append(shown.Headers, Header{human.Printable(h.Key), human.Printable(string(h.Value))})
	}
	return shown
}
