// Package console serves read-only pages about a Kafka cluster's topics and
// messages, at the paths of Redpanda Console and with its query parameters.
package console

import (
	"context"
	_ "embed"
	"net/http"
	"strings"
	"time"

	"soclab/internal/page"
	"soclab/pkg/stream"
)

// patience is how long a page waits for the cluster.
const patience = 5 * time.Second

//go:embed pages/topics.html
var topicsPage string

//go:embed pages/topic.html
var topicPage string

var site = page.NewSite("soclab broker", "A plain, read-only view of the broker. The compose stack has the real Redpanda Console at this address.",
	map[string]string{"topics": topicsPage, "topic": topicPage})

// Console serves the pages.
type Console struct {
	*http.ServeMux
	cluster stream.Cluster
	jaeger  string
}

// New returns the pages about the cluster that brokers, host:port, lead to.
// jaeger is the base URL for links to traces, "" for none.
func New(brokers []string, jaeger string) *Console {
	c := &Console{ServeMux: http.NewServeMux(), cluster: stream.Cluster{Brokers: brokers}, jaeger: jaeger}
	c.HandleFunc("GET /{$}", c.showTopics)
	c.HandleFunc("GET /topics", c.showTopics)
	c.HandleFunc("GET /topics/{name}", c.showTopic)
	c.HandleFunc("GET /admin/health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"status":"ok"}` + "\n"))
	})
	return c
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
		site.Fail(w, http.StatusNotFound, "No such topic", "The broker has no topic "+name+". Topics are created by the first run of the pipeline.")
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
	site.Fail(w, http.StatusBadGateway, "The broker does not answer", err.Error())
}

// TraceID is the trace id in the message's traceparent header (W3C Trace
// Context), "" if there is none.
func (m Message) TraceID() string {
	for _, header := range m.Headers {
		if parts := strings.Split(header.Value, "-"); header.Key == "traceparent" && len(parts) == 4 {
			return parts[1]
		}
	}
	return ""
}
