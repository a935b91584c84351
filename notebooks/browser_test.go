package notebooks_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"soclab/internal/jupyter"
	"soclab/internal/need"
)

// screenshots is where the README's pictures are kept:
//
//	go test ./notebooks -run Notebooks -screenshots images
var screenshots = flag.String("screenshots", "", "folder for the README's pictures; none are written if empty")

// inBrowser opens the notebooks in a real JupyterLab in a real browser, runs all
// cells of each in order, and looks at what appears on the page.
func inBrowser(t *testing.T, l *lab, run int) {
	program := findChromium(t)
	server, err := l.Environment.Start(t.Context(), jupyter.Options{
		Env:  append(l.environ(), ownSettings(t)...),
		Args: []string{"--LabApp.expose_app_in_browser=True"}, // as window.jupyterapp
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	p := openPage(t, program, server.URL)
	p.open("Producer")
	p.completes()
	pictures := map[string][]string{ // of which cells must be on the page
		"Consumer_Classifier": {"trace", "slow", "sharing", "direct", "queue"},
		"Statistics":          {"classes", "tactics", "techniques", "timeline", "sources", "heatmap", "latency", "confusion"},
	}
	shots := map[string]string{"title": "jupyterlab.png", "trace": "trace.png", "slow": "lag.png", "timeline": "statistics.png"}
	for _, step := range steps {
		p.open(step.name)
		n := p.runAll()
		step.check(t, l, n, run)
		for _, cell := range append(pictures[step.name], "title") {
			p.scrollTo(n, cell)
			p.seesPicture(cell)
			if file := shots[cell]; file != "" && (cell != "title" || step.name == "Producer") {
				p.screenshot(file)
			}
		}
	}
	p.open("Producer")
	p.stops("steady")
}

// ownSettings keep the test from the settings and open tabs of whoever works
// here, and JupyterLab from saving outputs into the repository.
func ownSettings(t *testing.T) (env []string) {
	t.Helper()
	folder := t.TempDir()
	plugin := filepath.Join(folder, "@jupyterlab", "docmanager-extension", "plugin.jupyterlab-settings")
	if err := os.MkdirAll(filepath.Dir(plugin), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plugin, []byte(`{"autosave": false}`), 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{"JUPYTERLAB_SETTINGS_DIR=" + folder, "JUPYTERLAB_WORKSPACES_DIR=" + t.TempDir()}
}

func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	need.Missing(t, "there is no Chromium on the PATH, so JupyterLab was not tried in a browser (Debian: apt-get install chromium)")
	return ""
}

// page is JupyterLab in a browser tab.
type page struct {
	*testing.T
	tab *chromium
}

func openPage(t *testing.T, program, url string) *page {
	t.Helper()
	p := &page{t, startChromium(t, program)}
	p.tab.must(t, "Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}, nil)
	p.tab.must(t, "Page.navigate", map[string]any{"url": url}, nil)
	p.await("JupyterLab on the page", `!!window.jupyterapp && jupyterapp.started.then(() => true)`)
	return p
}

// eval evaluates JavaScript, in which panel() is the current notebook. A promise
// is awaited.
func (p *page) eval(script string, result any) {
	p.Helper()
	if err := p.tryEval(script, result); err != nil {
		p.Fatalf("%s: %v", script, err)
	}
}

func (p *page) tryEval(script string, result any) error {
	script = `(async () => {
		const panel = () => jupyterapp.shell.currentWidget;
		return JSON.stringify((await (` + script + `)) ?? null);
	})()`
	text, err := p.tab.evaluate(script)
	if err != nil || result == nil {
		return err
	}
	return json.Unmarshal([]byte(text), result)
}

// await waits until a condition holds.
func (p *page) await(what, condition string) {
	p.Helper()
	for {
		var ok bool
		err := p.tryEval(condition, &ok)
		if ok {
			return
		}
		if patience(p.T) <= time.Second {
			p.Fatalf("%s: not in the time that the test has (%v)", what, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// open opens a notebook and waits for its kernel.
func (p *page) open(name string) {
	p.Helper()
	path := fmt.Sprintf("%q", "notebooks/"+notebooks+"/"+name+".ipynb")
	p.eval(`jupyterapp.commands.execute('docmanager:open', {path: `+path+`}).then(() => true)`, nil)
	p.await(name+" with a kernel", `panel()?.context?.path === `+path+` && panel().context.isReady
		&& panel().sessionContext.session?.kernel?.connectionStatus === 'connected'`)
}

// runAll runs all cells, as the menu does, and returns the notebook with what
// it shows then.
func (p *page) runAll() *notebook {
	p.Helper()
	p.eval(`(window.done = false, jupyterapp.commands.execute('notebook:run-all-cells').then(() => window.done = true), true)`, nil)
	p.await("all cells", `window.done`)
	var n notebook
	p.eval(`panel().context.model.toJSON()`, &n)
	for _, c := range n.Cells {
		for _, o := range c.Outputs {
			if o.Type == "error" {
				p.Fatalf("cell %s failed: %s\n%s", c.ID, o.Error, c.shown())
			}
		}
	}
	return &n
}

// scrollTo makes a cell the active one, at the top of the page, and waits until
// nothing moves any more.
func (p *page) scrollTo(n *notebook, cell string) {
	p.Helper()
	for i, c := range n.Cells {
		if c.ID == cell {
			p.eval(fmt.Sprintf(`(panel().content.activeCellIndex = %d, panel().content.scrollToItem(%[1]d, 'start'))`, i), nil)
		}
	}
	p.eval(`new Promise(still => {
		let before, frames = 0;
		const look = () => {
			const now = JSON.stringify(panel().content.activeCell.node.getBoundingClientRect());
			frames = now === before ? frames + 1 : 0;
			before = now;
			frames < 20 ? requestAnimationFrame(look) : still(true);
		};
		look();
	})`, nil)
}

// seesPicture checks that a picture of the active cell is laid out on the page.
func (p *page) seesPicture(cell string) {
	p.Helper()
	p.await("the picture of cell "+cell, `[...panel().content.activeCell.node.querySelectorAll('svg, img')]
		.some(e => e.getBoundingClientRect().width > 300 && e.getBoundingClientRect().height > 100 && (e.complete ?? true))`)
}

// completes checks that Tab and Shift-Tab have answers: these are the requests
// that they send.
func (p *page) completes() {
	p.Helper()
	p.eval(`jupyterapp.commands.execute('notebook:run-cell').then(() => true)`, nil)
	const kernel = `panel().sessionContext.session.kernel`
	start := time.Now()
	p.await("completion of our package", kernel+`.requestComplete({code: '%%\nnotebook.Sh', cursor_pos: 14}).then(r => r.content.matches.some(m => m.includes('Show')))`)
	p.Logf("first completion %s after the first cell", time.Since(start).Round(100*time.Millisecond))
	p.await("documentation of our function", kernel+`.requestInspect({code: '%%\nnotebook.Show("x")', cursor_pos: 14, detail_level: 0}).then(r => r.content.found)`)
}

// stops runs the live cell for as long as its text says and presses the stop
// button: the cell ends, and not with an error.
func (p *page) stops(cell string) {
	p.Helper()
	var n notebook
	p.eval(`panel().context.model.toJSON()`, &n)
	p.scrollTo(&n, cell)
	var long bool
	p.eval(`(source => (source.setSource(source.getSource().replace('seconds = 200, 10', 'seconds = 200, 600')),
		source.getSource().includes('600')))(panel().content.activeCell.model.sharedModel)`, &long)
	if !long {
		p.Fatalf("cell %s has no seconds to set", cell)
	}
	p.eval(`(window.done = false, jupyterapp.commands.execute('notebook:run-cell').then(() => window.done = true), true)`, nil)
	p.await("the live cell at work", `/[1-9][0-9]* events sent/.test(panel().content.activeCell.outputArea.node.innerText)`)
	p.eval(`jupyterapp.commands.execute('notebook:interrupt-kernel').then(() => true)`, nil)
	p.await("its end", `window.done`)
	p.eval(`panel().context.model.toJSON()`, &n)
	for _, o := range n.cell(p.T, cell).Outputs {
		if o.Type == "error" {
			p.Errorf("the stopped cell shows an error: %s", o.Error)
		}
	}
	if shown := n.cell(p.T, cell).shown(); strings.Contains(shown, " 0 waiting") {
		p.Errorf("it was not stopped: %s", shown)
	}
}

// screenshot keeps what is on the page, and checks that it is not blank.
func (p *page) screenshot(name string) {
	p.Helper()
	var shot struct{ Data []byte }
	p.tab.must(p.T, "Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	picture, err := png.Decode(bytes.NewReader(shot.Data))
	if err != nil {
		p.Fatal(err)
	}
	colors := map[any]bool{}
	for x := range picture.Bounds().Dx() {
		for y := range picture.Bounds().Dy() {
			colors[picture.At(x, y)] = true
		}
	}
	if len(colors) < 20 {
		p.Errorf("%s has only %d colours", name, len(colors))
	}
	if *screenshots != "" {
		if err := os.MkdirAll(*screenshots, 0o755); err != nil {
			p.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(*screenshots, strings.ToLower(name)), shot.Data, 0o644); err != nil {
			p.Fatal(err)
		}
	}
}
