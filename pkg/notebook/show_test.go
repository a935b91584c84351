package notebook

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"soclab/pkg/event"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got HTML) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs, see with -update and git diff:\n%s", name, got)
	}
}

type frame [][]string

func (f frame) Records() [][]string { return f }

func TestRender(t *testing.T) {
	table := Table{{"path", "events"}}
	table.Add("<script>alert(1)</script>", 12)
	table.Add(`"a"&b`, "")
	for _, c := range []struct {
		name  string
		thing any
		want  string
	}{
		{"html as it is", HTML("<b>x</b>"), "<b>x</b>"},
		{"anything else as text", time.Second, "<pre>1s</pre>"},
		{"text is escaped", []string{"<b>"}, "<pre>[&lt;b&gt;]</pre>"},
		{"empty table", Table{}, ""},
		{"cells are escaped", table, "&lt;script&gt;alert(1)&lt;/script&gt;"},
		{"numbers flush right", table, `<td style="text-align:right;white-space:nowrap">12</td>`},
		{"frame", frame{{"F1"}, {"0.950000"}, {"1.000000"}}, `nowrap">0.95</td>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(render(c.thing)); !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s in it", got, c.want)
			}
		})
	}
}

func TestChart(t *testing.T) {
	c := NewChart("The queue takes the <surplus>", "seconds", "events waiting")
	c.Mark(1.5, "crash")
	for i := range 5 {
		c.Add("arrived", float64(i), float64(500*i))
		c.Add("classified", float64(i), float64(500*i))
	}
	golden(t, "chart.svg", c.HTML())
	golden(t, "chart-empty.svg", NewChart("Nothing yet", "seconds", "events").HTML())
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		limit float64
		n     int
		last  float64
		count int
	}{
		{0, 5, 1, 6}, {1, 5, 1, 6}, {7, 7, 7, 8}, {1900, 5, 2000, 5}, {0.003, 5, 0.003, 4}, {1e12, 5, 1e12, 6},
	} {
		values, last := ticks(c.limit, c.n)
		if math.Abs(last-c.last) > 1e-9*c.last || len(values) != c.count {
			t.Errorf("ticks(%g, %d) are %v", c.limit, c.n, values)
		}
	}
}

func TestProgress(t *testing.T) {
	p := NewProgress("classified", 12_000)
	p.start = time.Now().Add(-2 * time.Second)
	p.Add(4000)
	batch := event.Batch{Records: slices.Repeat([]event.Record{{Verdict: &event.Verdict{Class: event.Benign}}}, 1000)}
	for i := range 17 {
		batch.Records[i].Verdict = &event.Verdict{Class: "Port Scan"}
	}
	if err := p.Append(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	p.Close()
	got := string(p.HTML())
	for _, want := range []string{`value="5000" max="12000"`, "5,000 events classified", "7,000 waiting", "a second", "17 detections"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %q in it", got, want)
		}
	}
	if got := NewProgress("sent", 0).HTML(); strings.Contains(string(got), "<progress") {
		t.Errorf("a bar without a total: %s", got)
	}
}
