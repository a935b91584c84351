package console_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"soclab/internal/broker"
	"soclab/internal/console"
)

// serve starts a broker with topics and the pages about it. Topic events.raw
// has 3 partitions; what each gets is written in order, one message a second
// from base on.
func serve(t *testing.T, partitions map[int][]kafka.Message) string {
	t.Helper()
	b, err := broker.Start(broker.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	transport := &kafka.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &kafka.Client{Addr: kafka.TCP(b.Addr()), Transport: transport}
	created, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: "events.raw", NumPartitions: 3, ReplicationFactor: 1},
		{Topic: "empty", NumPartitions: 1, ReplicationFactor: 1},
	}})
	if err = errors.Join(err, created.Errors["events.raw"], created.Errors["empty"]); err != nil {
		t.Fatal(err)
	}
	for partition, messages := range partitions {
		// In several batches, as a page must put them together again.
		for len(messages) > 0 {
			n := min(len(messages), 40)
			var records []kafka.Record
			for _, m := range messages[:n] {
				records = append(records, kafka.Record{Time: m.Time, Headers: m.Headers, Key: kafka.NewBytes(m.Key), Value: kafka.NewBytes(m.Value)})
			}
			response, err := client.Produce(t.Context(), &kafka.ProduceRequest{
				Topic: "events.raw", Partition: partition, RequiredAcks: kafka.RequireAll,
				Records: kafka.NewRecordReader(records...), Compression: kafka.Zstd,
			})
			if err == nil {
				err = response.Error
			}
			if err != nil {
				t.Fatal(err)
			}
			messages = messages[n:]
		}
	}
	c := console.New([]string{b.Addr()}, "http://localhost:16686")
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return server.URL
}

var base = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// numbered are n messages whose values are their offsets.
func numbered(n int) (messages []kafka.Message) {
	for i := range n {
		messages = append(messages, kafka.Message{Time: base.Add(time.Duration(i) * time.Second), Value: fmt.Appendf(nil, "value %d.", i)})
	}
	return messages
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(url, "/admin/") &&
		(!strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe")) {
		t.Errorf("GET %s: Content-Security-Policy is %q", url, policy)
	}
	return response.StatusCode, string(body)
}

func TestTopics(t *testing.T) {
	url := serve(t, map[int][]kafka.Message{0: numbered(1200), 2: numbered(34)})
	for _, path := range []string{"/", "/topics"} {
		code, body := get(t, url+path)
		for _, want := range []string{`<a href="/topics/events.raw">events.raw</a>`, ">1,234<", `<a href="/topics/empty">empty</a>`, "Redpanda Console"} {
			if code != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("GET %s: %d, want %q in\n%s", path, code, want, body)
			}
		}
	}
	if code, body := get(t, url+"/admin/health"); code != http.StatusOK || !strings.Contains(body, "ok") {
		t.Errorf("health: %d %s", code, body)
	}
	if code, body := get(t, url+"/topics/nothing"); code != http.StatusNotFound || !strings.Contains(body, "No such topic") {
		t.Errorf("a topic that is not there: %d %s", code, body)
	}
	if code, body := get(t, url+"/topics/empty"); code != http.StatusOK || !strings.Contains(body, "There are no messages here.") {
		t.Errorf("an empty topic: %d %s", code, body)
	}
}

var rowPattern = regexp.MustCompile(`o=(\d+)&amp;s=1">(\d+)</a>`)

// rows are the partition/offset of each message on a page.
func rows(body string) string {
	var b strings.Builder
	for _, m := range rowPattern.FindAllStringSubmatch(body, -1) {
		fmt.Fprintf(&b, "%s/%s ", m[2], m[1])
	}
	return strings.TrimSpace(b.String())
}

// span are the rows of one partition from one offset down to another.
func span(partition, from, to int) string {
	var list []string
	for offset := from; offset >= to; offset-- {
		list = append(list, strconv.Itoa(partition)+"/"+strconv.Itoa(offset))
	}
	return strings.Join(list, " ")
}

func TestPaging(t *testing.T) {
	url := serve(t, map[int][]kafka.Message{0: numbered(300), 1: numbered(2)}) + "/topics/events.raw"
	for name, test := range map[string]struct{ query, rows, newer, older string }{
		"newest of all":            {"?s=3", span(0, 299, 297), "", ""},
		"oldest of all":            {"?s=4&o=-2", "0/1 1/1 0/0 1/0", "", ""},
		"newest of one":            {"?p=0", span(0, 299, 250), "", "p=0&amp;o=200&amp;s=50"},
		"from an offset":           {"?p=0&o=120&s=100", span(0, 219, 120), "p=0&amp;o=220&amp;s=100", "p=0&amp;o=20&amp;s=100"},
		"oldest of one":            {"?p=0&o=-2&s=10", span(0, 9, 0), "p=0&amp;o=10&amp;s=10", ""},
		"last page is short":       {"?p=0&o=295&s=10", span(0, 299, 295), "", "p=0&amp;o=285&amp;s=10"},
		"beyond the end":           {"?p=0&o=999&s=10", "", "", "p=0&amp;o=290&amp;s=10"},
		"one message":              {"?p=1&o=1&s=1", "1/1", "", "p=1&amp;o=0&amp;s=1"},
		"an empty partition":       {"?p=2", "", "", ""},
		"no such partition":        {"?p=7&s=2", span(0, 299, 298), "", ""},
		"at most 500":              {"?p=0&s=100000", span(0, 299, 0), "", ""},
		"not numbers":              {"?p=x&o=y&s=z", span(0, 299, 250), "", ""},
		"numbers out of any range": {"?p=-9&o=-9223372036854775808&s=-1", span(0, 299, 299), "", ""},
		"the largest offset":       {"?p=0&o=9223372036854775807", "", "", "p=0&amp;o=250&amp;s=50"},
	} {
		t.Run(name, func(t *testing.T) {
			code, body := get(t, url+test.query)
			if got := rows(body); code != http.StatusOK || got != test.rows {
				t.Errorf("%d, rows %s, want %s", code, got, test.rows)
			}
			for link, query := range map[string]string{"← newer": test.newer, "older →": test.older} {
				if want := `<a href="?` + query + `">` + link; query != "" && !strings.Contains(body, want) {
					t.Errorf("want the link %q", want)
				} else if query == "" && strings.Contains(body, link) {
					t.Errorf("there is a link %q, want none", link)
				}
			}
		})
	}
}

func TestMessage(t *testing.T) {
	url := serve(t, map[int][]kafka.Message{0: {
		{Time: base, Key: []byte("192.168.1.7"), Value: []byte(`{"event.id":"C5xh","source.port":443}`), Headers: []kafka.Header{
			{Key: "traceparent", Value: []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")}}},
		{Time: base, Key: []byte(`<script>alert("key")</script>`), Value: []byte(`<img src=x onerror=alert(1)>`),
			Headers: []kafka.Header{{Key: `"><script>`, Value: []byte(`</code><script>`)}, {Key: "traceparent", Value: []byte(`00-"onmouseover="x-y-z`)}}},
		{Time: base, Value: []byte{0xff, 0x00, 0x10}},
		{Time: base, Key: []byte("deleted")},
		{Time: base, Value: []byte(strings.Repeat("ä", 20_000))},
		{Time: base, Value: []byte(strings.Repeat("[", 8000) + strings.Repeat("]", 8000))},
	}}) + "/topics/events.raw?p=0&s=1&o="
	for name, test := range map[string]struct {
		offset int
		want   []string
	}{
		"JSON": {0, []string{"<code>192.168.1.7</code>", "{\n  &#34;event.id&#34;: &#34;C5xh&#34;,\n", "2026-11-23 12:00:00.000", "<dd>37 bytes</dd>",
			`<a href="http://localhost:16686/trace/4bf92f3577b34da6a3ce929d0e0e4736">`}},
		"HTML":     {1, []string{"&lt;script&gt;alert(&#34;key&#34;)&lt;/script&gt;", "&lt;img src=x onerror=alert(1)&gt;", "&#34;&gt;&lt;script&gt;"}},
		"binary":   {2, []string{`&#34;\xff\x00\x10&#34;`, "00000000  ff 00 10"}},
		"no value": {3, []string{`<span class="soft">none</span>`}},
		"nested":   {5, []string{"<pre>[[[[[["}},
		"long":     {4, []string{"… 23616 bytes more", "<dd>40000 bytes</dd>"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, body := get(t, url+strconv.Itoa(test.offset))
			for _, want := range test.want {
				if !strings.Contains(body, want) {
					t.Errorf("want %q in\n%s", want, body)
				}
			}
			for _, bad := range []string{"<script", "<img", `"onmouseover`} {
				if strings.Contains(body, bad) {
					t.Errorf("%q stands in\n%s", bad, body)
				}
			}
		})
	}
}

func TestNoBroker(t *testing.T) {
	c := console.New([]string{"127.0.0.1:1"}, "")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest("GET", "/topics", nil))
	if w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "The broker does not answer") {
		t.Errorf("without a broker: %d %s", w.Code, w.Body)
	}
}

func TestReadOnly(t *testing.T) {
	c := console.New([]string{"127.0.0.1:1"}, "")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest("POST", "/topics", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d, want %d", w.Code, http.StatusMethodNotAllowed)
	}
}
