// Package console serves read-only pages about a Kafka cluster's topics and
// messages, at the paths of Redpanda Console and with its query parameters.
package console

import (
	"context"
	_ "embed"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"soclab/internal/page"
)

// patience is how long a page waits for the cluster.
const patience = 5 * time.Second

//go:embed pages/topics.html
var topicsPage string

//go:embed pages/topic.html
var topicPage string

//go:embed pages/error.html
var errorPage string

var site = page.NewSite("soclab broker", "A plain, read-only view of the broker. The compose stack has the real Redpanda Console at this address.",
	page.Func{
		"time":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") },
		"count":   count,
		"traceID": traceID,
	},
	map[string]string{"topics": topicsPage, "topic": topicPage, "error": errorPage})

// Console serves the pages.
type Console struct {
	*http.ServeMux
	client    *kafka.Client
	transport *kafka.Transport
	jaeger    string
}

// New returns the pages about the cluster that brokers, host:port, lead to.
// jaeger is the base URL for links to traces, "" for none.
func New(brokers []string, jaeger string) *Console {
	// Topics should show soon after they are created.
	transport := &kafka.Transport{DialTimeout: patience, MetadataTTL: time.Second}
	c := &Console{
		ServeMux:  http.NewServeMux(),
		client:    &kafka.Client{Addr: kafka.TCP(brokers...), Timeout: patience, Transport: transport},
		transport: transport,
		jaeger:    strings.TrimRight(jaeger, "/"),
	}
	c.HandleFunc("GET /{$}", c.showTopics)
	c.HandleFunc("GET /topics", c.showTopics)
	c.HandleFunc("GET /topics/{name}", c.showTopic)
	c.HandleFunc("GET /admin/health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"status":"ok"}` + "\n"))
	})
	return c
}

// Close ends the connections to the cluster.
func (c *Console) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

func (c *Console) showTopics(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	topics, err := c.topics(ctx)
	if err != nil {
		c.fail(w, err)
		return
	}
	site.Write(w, http.StatusOK, "topics", "Topics", topics)
}

func (c *Console) showTopic(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	name := r.PathValue("name")
	topic, err := c.topic(ctx, name)
	if err != nil {
		c.fail(w, err)
		return
	}
	if topic == nil {
		site.Write(w, http.StatusNotFound, "error", "No such topic", "The broker has no topic "+name+". Topics are created by the first run of the pipeline.")
		return
	}
	view := parseWindow(r.URL.Query(), topic)
	messages, err := c.messages(ctx, topic, view)
	if err != nil {
		c.fail(w, err)
		return
	}
	site.Write(w, http.StatusOK, "topic", name, struct {
		*Topic
		View     window
		Messages []Message
		Jaeger   string
	}{topic, view, messages, c.jaeger})
}

func (c *Console) fail(w http.ResponseWriter, err error) {
	site.Write(w, http.StatusBadGateway, "error", "The broker does not answer", err.Error())
}

// count writes a number with thousands apart.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// traceID returns the trace id in a message's traceparent header (W3C Trace
// Context), "" if there is none.
func traceID(m Message) string {
	for _, header := range m.Headers {
		if parts := strings.Split(header.Value, "-"); header.Key == "traceparent" && len(parts) == 4 {
			return parts[1]
		}
	}
	return ""
}
