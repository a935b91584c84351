// Package notebooks_test executes the lab's notebooks as a reader would, and
// checks what they show.
package notebooks_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	_ "golang.org/x/sync/errgroup" // for cells: they find it by go.mod

	"soclab/internal/folder"
	"soclab/internal/jupyter"
	"soclab/internal/need"
	"soclab/internal/stack"
	"soclab/pkg/event"
	"soclab/pkg/store"
	"soclab/pkg/stream"
)

const notebooks = "1. Mittre classification"

var outputs = flag.Bool("outputs", false, "keep the outputs of Statistics.ipynb, which are committed since they teach")

// lab is a stack and data of its own, and the JupyterLab that all share.
type lab struct {
	*jupyter.Environment
	*stack.Stack
	data   string
	soclab string // the program
}

// newLab starts a lab, and installs JupyterLab first where it is missing.
func newLab(t *testing.T) *lab {
	t.Helper()
	ctx := t.Context()
	root, err := folder.Root()
	if err != nil {
		t.Fatal(err)
	}
	home, err := folder.Home()
	if err != nil {
		t.Fatal(err)
	}
	environment, err := jupyter.Install(ctx, root, home, os.Stderr)
	if err != nil {
		need.Missing(t, "JupyterLab could not be installed, so no notebook was executed: %v", err)
	}
	running, err := stack.Start(ctx, stack.Options{Home: t.TempDir(), FreePorts: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	bin, _ := jupyter.Installed(home)
	return &lab{environment, running, t.TempDir(), filepath.Join(bin, "soclab")}
}

// environ is what cells need to know of the lab. However busy the machine is, no
// span is to be dropped.
func (l *lab) environ() []string {
	return append(l.Environ(), "SOCLAB_DATA="+l.data, "SOCLAB_RULES=", "OTEL_EXPORTER_OTLP_TIMEOUT=120000")
}

// patience is how long a test may still wait for something: until it has just the
// time to say what did not happen.
func patience(t *testing.T) time.Duration {
	deadline, ok := t.Deadline()
	if !ok {
		return time.Hour
	}
	return max(time.Until(deadline)-30*time.Second, time.Second)
}

// notebook is an executed notebook.
type notebook struct {
	Cells []cell `json:"cells"`

	file []byte
}

type cell struct {
	ID       string `json:"id"`
	Type     string `json:"cell_type"`
	Metadata struct {
		Tags []string `json:"tags"`
	} `json:"metadata"`
	Source  lines    `json:"source"`
	Outputs []output `json:"outputs"`

	seconds float64 // from its request to its reply
}

type output struct {
	Type  string           `json:"output_type"`
	Name  string           `json:"name"` // stdout, stderr
	Text  lines            `json:"text"`
	Error lines            `json:"evalue"`
	Data  map[string]lines `json:"data"`
}

// lines is text, which a notebook has whole or in lines.
type lines string

func (l *lines) UnmarshalJSON(data []byte) error {
	var list []string
	if json.Unmarshal(data, &list) == nil {
		*l = lines(strings.Join(list, ""))
		return nil
	}
	return json.Unmarshal(data, (*string)(l))
}

func read(t *testing.T, file string) *notebook {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := &notebook{file: data}
	if err := json.Unmarshal(data, n); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return n
}

// execute runs all cells of a notebook in a new kernel, or only those named. The
// error is that of the first cell that failed, after which none is run.
func (l *lab) execute(t *testing.T, env []string, name string, cells ...string) (*notebook, error) {
	t.Helper()
	source, err := filepath.Abs(filepath.Join(notebooks, name+".ipynb"))
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/execute.py")
	if err != nil {
		t.Fatal(err)
	}
	result := filepath.Join(t.TempDir(), "executed.ipynb")
	args := append([]string{script, fmt.Sprint(int(patience(t).Seconds())), source, result}, cells...)
	cmd := l.Command(t.Context(), "python", args...)
	cmd.Env = slices.Concat(cmd.Env, l.environ(), env)
	var said bytes.Buffer
	cmd.Stderr = &said
	times, failed := cmd.Output()
	if _, ok := errors.AsType[*exec.ExitError](failed); failed != nil && !ok {
		t.Fatal(failed)
	}
	if _, err := os.Stat(result); err != nil {
		t.Fatalf("%s was not executed: %s", name, said.String())
	}
	n := read(t, result)
	for scanner := bufio.NewScanner(bytes.NewReader(times)); scanner.Scan(); {
		var timed struct {
			ID      string
			Seconds float64
		}
		if err := json.Unmarshal(scanner.Bytes(), &timed); err != nil {
			t.Fatal(err)
		}
		n.cell(t, timed.ID).seconds = timed.Seconds
	}
	if failed != nil {
		return n, fmt.Errorf("%s: %s", name, said.String())
	}
	return n, nil
}

func (n *notebook) cell(t *testing.T, id string) *cell {
	t.Helper()
	for i := range n.Cells {
		if n.Cells[i].ID == id {
			return &n.Cells[i]
		}
	}
	t.Fatalf("there is no cell %q", id)
	return nil
}

// shown is all that a cell shows, but for the data of pictures.
func (c *cell) shown() string {
	var b strings.Builder
	for _, o := range c.Outputs {
		b.WriteString(string(o.Text))
		for kind, data := range o.Data {
			if kind == "image/png" {
				data = "PNG"
			}
			b.WriteString(string(data) + "\n")
		}
	}
	return b.String()
}

func (n *notebook) expect(t *testing.T, id string, want ...string) {
	t.Helper()
	shown := n.cell(t, id).shown()
	for _, w := range want {
		if !strings.Contains(shown, w) {
			t.Errorf("cell %s: want %q in its output, which is:\n%.2000s", id, w, shown)
		}
	}
}

// What one run of all notebooks adds to the topic.
const (
	published = 10_000 + 2000 // by Producer
	sent      = 3000 + 2000   // by the producers of the experiments
	broken    = 3
)

// TestNotebooks runs all cells of the notebooks in order, and then once more
// over what is there already, in a real JupyterLab in a browser. With -v it
// prints how long each cell took.
func TestNotebooks(t *testing.T) {
	l := newLab(t)
	headless := t.Run("headless", func(t *testing.T) {
		run := 1
		for _, step := range steps {
			n, err := l.execute(t, nil, step.name)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s:\n%s", step.name, n.timing())
			step.check(t, l, n, run)
			if *outputs && step.name == "Statistics" {
				// The kernel names no lexer, and an export would colour Go as Python.
				file := bytes.Replace(n.file, []byte(`"pygments_lexer": ""`), []byte(`"pygments_lexer": "go"`), 1)
				if err := os.WriteFile(filepath.Join(notebooks, "Statistics.ipynb"), file, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	if headless {
		t.Run("browser", func(t *testing.T) { inBrowser(t, l, 2) })
	}
}

// steps are the notebooks in order, and what each must show in the run'th run.
var steps = []struct {
	name  string
	check func(t *testing.T, l *lab, n *notebook, run int)
}{
	{"Producer", checkProducer},
	{"Consumer_Classifier", checkConsumer},
	{"Statistics", checkStatistics},
}

func checkProducer(t *testing.T, l *lab, n *notebook, run int) {
	before := (run - 1) * (published + sent + broken)
	n.expect(t, "one-event", "@timestamp", "event.id", "source.ip")
	n.expect(t, "ten-events", "Mar  2 09:")
	n.expect(t, "publish", "10,000 events sent")
	n.expect(t, "message", "header traceparent: 00-", `"event.id":"`)
	n.expect(t, "links", l.Console+"/topics/events.raw", l.Jaeger+"/trace/")
	n.expect(t, "steady", "2,000 events sent")
	n.expect(t, "decoupled", "**0** consumers at work, **12,000** events wait")
	if got := l.records(t, stream.Raw); got != before+published {
		t.Errorf("the topic holds %d records, want %d", got, before+published)
	}
	raw, err := os.ReadFile(filepath.Join(l.data, "raw_packets.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := bytes.Count(raw, []byte("\n"))-1, before+published-(run-1)*broken; got != want {
		t.Errorf("raw_packets.csv has %d rows, want %d", got, want)
	}
}

func checkConsumer(t *testing.T, l *lab, n *notebook, run int) {
	want := run * (published + sent)
	n.expect(t, "one-event", "SQL Injection in a Web Request", "T1190", "url.query|contains", "id=7&#39; or &#39;1&#39;=&#39;1")
	n.expect(t, "own-rule-try", "from 203.0.113.7: match true", `user.name is "root"`, "from 10.0.0.7: match false")
	n.expect(t, "lag-now", "**12,000** of them wait")
	n.expect(t, "loop", "12,000 events classified", "0 waiting", "detections")
	n.expect(t, "detections", "technique", "T1")
	n.expect(t, "trace", "kafka.produce", "in the queue", "kafka.consume", "classification", "storage.write", "// ")
	n.expect(t, "stages", "kafka.produce", "wait in the queue", "kafka.consume", "classification", "storage.write")
	n.expect(t, "dead-letters", "not JSON", "70000", "each key once")
	for _, chart := range []string{"slow", "sharing", "direct", "queue"} {
		n.expect(t, chart, "<svg", "<polyline")
	}
	n.expect(t, "sharing", "[0 1 2]", "[]")
	n.expect(t, "direct", "of them are lost")
	n.expect(t, "queue", "kill -9", "new worker")
	n.expect(t, "complete", fmt.Sprintf("%d,%03d rows, 0 of them doubled, and %d dead letters", want/1000, want%1000, run*broken))

	type place struct {
		partition int
		offset    int64
	}
	rows, detections := map[place]bool{}, 0
	for row, err := range store.Read(filepath.Join(l.data, "classified_packets.csv")) {
		if err != nil {
			t.Fatal(err)
		}
		at := place{row.Partition, row.Offset}
		if rows[at] {
			t.Errorf("two rows of %v", at)
		}
		rows[at] = true
		if row.Verdict.Class != event.Benign {
			detections++
		}
	}
	if len(rows) != want || detections == 0 {
		t.Errorf("%d rows with %d detections, want %d and some", len(rows), detections, want)
	}
	if got := l.records(t, stream.Classified); got < want {
		t.Errorf("%s holds %d records, want at least %d", stream.Classified, got, want)
	}
}

func checkStatistics(t *testing.T, _ *lab, n *notebook, run int) {
	rows := run * (published + sent)
	n.expect(t, "load", " events**", "of them detected")
	for _, figure := range []string{"classes", "tactics", "techniques", "timeline", "sources", "heatmap", "latency", "confusion"} {
		n.expect(t, figure, "PNG")
	}
	n.expect(t, "processing", "partition", "missing")
	n.expect(t, "scores", "attacks were found", "T1110")
	n.expect(t, "agree", fmt.Sprintf("%d rows; 0 records without a row; 0 rows with another id than Kafka's; 0 repeated ids", rows))
}

// records counts the records of a topic.
func (l *lab) records(t *testing.T, topic string) (n int) {
	t.Helper()
	positions, err := stream.Cluster{Brokers: l.Brokers}.Positions(t.Context(), "", topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range positions {
		n += int(p.End - p.First)
	}
	return n
}

// TestCellAndWorkerAgree checks that the loop in its cell and soclab classify make
// the same rows of the same topic, with the rule that another cell keeps.
func TestCellAndWorkerAgree(t *testing.T) {
	l := newLab(t)
	if _, err := l.execute(t, nil, "Producer", "imports", "record", "publish"); err != nil {
		t.Fatal(err)
	}
	l.sendRootLogins(t, 7)
	n, err := l.execute(t, nil, "Consumer_Classifier", "imports", "own-rule", "keep-my-rule", "lag", "loop")
	if err != nil {
		t.Fatal(err)
	}
	n.expect(t, "keep-my-rule", "the last of them yours: Root Login From Outside")
	n.expect(t, "loop", "10,007 events classified")

	other := t.TempDir()
	worker := exec.Command(l.soclab, "classify", "--drain", "--publish=false", "--data", other,
		"--brokers", strings.Join(l.Brokers, ","), "--rules", filepath.Join(l.data, "rules"))
	worker.Env = slices.Concat(os.Environ(), l.environ())
	if said, err := worker.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", worker, err, said)
	}
	cell, own := rows(t, l.data)
	alone, same := rows(t, other)
	if !slices.Equal(cell, alone) {
		t.Errorf("%d rows of the cell differ from %d of the worker: %s", len(cell), len(alone), firstDifference(cell, alone))
	}
	if len(cell) != 10_007 || own != 7 || same != 7 {
		t.Errorf("%d rows; the student's rule won %d times in the cell and %d times in the worker, want 7", len(cell), own, same)
	}
}

// sendRootLogins publishes what the rule of Consumer_Classifier's step 2 matches.
func (l *lab) sendRootLogins(t *testing.T, n int) {
	t.Helper()
	producer, err := stream.NewProducer(t.Context(), stream.Cluster{Brokers: l.Brokers}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	for i := range n {
		login := event.Event{
			Timestamp: time.Now().UTC().Add(time.Duration(i) * time.Hour), ID: fmt.Sprintf("root-%d", i),
			Category: "authentication", Outcome: "success", User: "root",
			Source: event.Endpoint{IP: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})},
		}
		if err := producer.Send(t.Context(), login); err != nil {
			t.Fatal(err)
		}
	}
}

// rows are those of a data folder's classified_packets.csv in order, as far as they
// are a function of the topic, and how many of them the student's rule classified.
func rows(t *testing.T, data string) (lines []string, own int) {
	t.Helper()
	for row, err := range store.Read(filepath.Join(data, "classified_packets.csv")) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Verdict.Class == "Root Login From Outside" {
			own++
		}
		row.Ingested, row.TraceID = time.Time{}, ""
		var encoder event.RowEncoder
		lines = append(lines, string(encoder.AppendCSV(nil, &row)))
	}
	slices.Sort(lines)
	return lines, own
}

// firstDifference shows where two lists begin to differ.
func firstDifference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] + b[i]
		}
	}
	return "one is longer"
}

// TestSentences checks that a cell which cannot do its work says why, and ends.
func TestSentences(t *testing.T) {
	l := newLab(t)
	for _, c := range []struct {
		name, notebook, cell string
		env                  []string
		want                 string
	}{
		{"no broker for the producer", "Producer", "publish", []string{"KAFKA_BROKERS=127.0.0.1:1"}, "no Kafka answers at 127.0.0.1:1"},
		{"no broker for the consumer", "Consumer_Classifier", "lag-now", []string{"KAFKA_BROKERS=127.0.0.1:1"}, "no Kafka answers at 127.0.0.1:1"},
		{"consumer before producer", "Consumer_Classifier", "lag-now", nil, "events.raw is empty: run Producer.ipynb first"},
		{"statistics before all", "Statistics", "load", nil, "run Producer.ipynb, then Consumer_Classifier.ipynb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, err := l.execute(t, c.env, c.notebook)
			if err == nil {
				t.Fatal("the notebook succeeded")
			}
			n.expect(t, c.cell, c.want)
			if shown := n.cell(t, c.cell).shown(); strings.Contains(shown, "goroutine") {
				t.Errorf("the output has a stack trace:\n%s", shown)
			}
		})
	}
}

// TestWritten checks how the notebooks are written: short cells, each after a
// sentence, and outputs only in Statistics.
func TestWritten(t *testing.T) {
	for _, name := range []string{"Producer", "Consumer_Classifier", "Statistics"} {
		n := read(t, filepath.Join(notebooks, name+".ipynb"))
		if n.Cells[0].Type != "markdown" || n.Cells[1].ID != "imports" {
			t.Errorf("%s does not begin with its goal and its imports", name)
		}
		for _, c := range n.Cells {
			if c.Type == "markdown" {
				continue
			}
			if lines := strings.Count(string(c.Source), "\n") + 1; lines > 30 {
				t.Errorf("%s: cell %s has %d lines", name, c.ID, lines)
			}
			if len(c.Outputs) > 0 && name != "Statistics" {
				t.Errorf("%s: cell %s has an output: clear it before committing", name, c.ID)
			}
		}
	}
}

// timing is a table of how long each cell took.
func (n *notebook) timing() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	var plain []float64 // without cells that are meant to take their time
	for i, c := range n.Cells {
		if c.Type != "code" {
			continue
		}
		note := ""
		switch {
		case slices.Contains(c.Metadata.Tags, "live"):
			note = "live"
		case i == 1:
			note = "first"
		default:
			plain = append(plain, c.seconds)
		}
		fmt.Fprintf(w, "%s\t%.2f s\t%s\n", c.ID, c.seconds, note)
	}
	w.Flush()
	slices.Sort(plain)
	fmt.Fprintf(&b, "median %.2f s, heaviest %.2f s, without live cells\n", plain[len(plain)/2], plain[len(plain)-1])
	return b.String()
}
