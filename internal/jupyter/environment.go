// Package jupyter makes and runs the lab's JupyterLab: a private Python
// environment, the Go kernel with its tools, and the server. Everything lies in
// one folder and is pinned; nothing else of the machine is touched.
package jupyter

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// kernelName is what the notebooks' kernel is called. It is that of any GoNB
// installation, so that one opens the notebooks too.
const kernelName = "gonb"

//go:embed requirements.txt
var requirements []byte

//go:embed overrides.json
var overrides []byte

// exports makes "Save and Export Notebook As HTML" put pictures into the page,
// so that a report is one file.
const exports = `{"HTMLExporter": {"embed_images": true}}`

// oldestPython is the first minor version of Python 3 that JupyterLab's parts
// run on (jupyterlab's Requires-Python and those of its dependencies).
const oldestPython = 11

// Environment is what JupyterLab and its Go kernel need.
type Environment struct {
	root   string // the repository
	folder string
}

func (e *Environment) python() string { return filepath.Join(e.folder, "python") }
func (e *Environment) bin() string    { return filepath.Join(e.folder, "bin") }

// at is the environment in a home, installed or not.
func at(root, home string) *Environment {
	return &Environment{root: root, folder: filepath.Join(home, "jupyter")}
}

// Installed tells whether the kernel and its tools are there, and in which folder.
func Installed(home string) (bin string, ok bool) {
	bin = at("", home).bin()
	for _, program := range []string{"gonb", "gopls", "goimports", "soclab"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			return bin, false
		}
	}
	return bin, true
}

// Install makes the environment of the repository at root in the folder
// jupyter of home, or completes what is missing or outdated there: Python
// packages, the kernel and its tools, and a build cache that knows the
// repository's packages as cells will build them. It reports each step to
// progress. The first time takes minutes and the network, the next ones a
// second and neither.
func Install(ctx context.Context, root, home string, progress io.Writer) (*Environment, error) {
	if runtime.GOOS == "windows" {
		return nil, errors.New("the Go kernel does not run on native Windows: use WSL2 (wsl --install, then clone and run there) or Docker (docker compose up)")
	}
	e := at(root, home)
	err := os.MkdirAll(e.folder, 0o700)
	if err == nil {
		e.folder, err = filepath.EvalSymlinks(e.folder)
	}
	if err != nil {
		return nil, fmt.Errorf("install JupyterLab: %w", err)
	}
	lock := flock.New(filepath.Join(e.folder, "install.lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return nil, fmt.Errorf("wait for another installation in %s: %w", e.folder, err)
	}
	defer lock.Unlock()

	goVersion, err := exec.CommandContext(ctx, "go", "env", "GOVERSION").Output()
	if err != nil {
		return nil, fmt.Errorf("install JupyterLab: go must be on the PATH, cells are built with it: %w", err)
	}
	modules, err := readAll(e.file("go.mod"), e.file("go.sum"))
	if err != nil {
		return nil, err
	}
	toolModules, err := readAll(e.file("internal/jupyter/tools/go.mod"), e.file("internal/jupyter/tools/go.sum"))
	if err != nil {
		return nil, err
	}
	steps := []struct {
		name, title string
		pins        [][]byte
		install     func(context.Context) error
	}{
		{"python", "JupyterLab in a Python environment of its own (about 1 minute)", [][]byte{requirements}, e.installPython},
		{"tools", "GoNB, the Go kernel, with gopls and goimports (about 2 minutes)", [][]byte{goVersion, toolModules}, e.buildTools},
		{"packages", "the lab's packages, built for cells (about 2 minutes)", [][]byte{goVersion, modules, []byte(cellFlags)}, e.warm},
	}
	for _, step := range steps {
		stamp := filepath.Join(e.folder, step.name+".stamp")
		pins := digest(step.pins)
		if done, _ := os.ReadFile(stamp); string(done) == pins {
			continue
		}
		fmt.Fprintf(progress, "Installing %s ... ", step.title)
		start := time.Now()
		err := step.install(ctx)
		if err == nil {
			err = os.WriteFile(stamp, []byte(pins), 0o600)
		}
		if err != nil {
			fmt.Fprintln(progress, "failed")
			return nil, fmt.Errorf("install %s: %w", step.name, err)
		}
		fmt.Fprintf(progress, "%s\n", time.Since(start).Round(100*time.Millisecond))
	}
	return e, e.installKernel(ctx)
}

func (e *Environment) file(name string) string {
	return filepath.Join(e.root, filepath.FromSlash(name))
}

// installPython makes the Python environment, with uv where that is at hand,
// since it is faster and brings a Python where the machine has none.
func (e *Environment) installPython(ctx context.Context) error {
	if err := os.RemoveAll(e.python()); err != nil { // what an interrupted run left
		return err
	}
	list := filepath.Join(e.folder, "requirements.txt")
	if err := os.WriteFile(list, requirements, 0o600); err != nil {
		return err
	}
	python := filepath.Join(e.python(), "bin", "python")
	program, uv, err := Python(ctx)
	if err != nil {
		return err
	}
	if uv {
		if err := e.run(ctx, nil, program, "venv", "--quiet", "--python", fmt.Sprintf(">=3.%d", oldestPython), e.python()); err != nil {
			return err
		}
		return network(e.run(ctx, nil, program, "pip", "install", "--quiet", "--python", python, "--requirement", list))
	}
	if err := e.run(ctx, nil, program, "-m", "venv", e.python()); err != nil {
		return fmt.Errorf("%w\nDebian and Ubuntu have it in a package of its own: sudo apt install python3-venv; or install uv, which needs no Python", err)
	}
	return network(e.run(ctx, nil, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", list))
}

// Python returns the program that JupyterLab is installed with: uv, which brings a
// Python of its own, else a Python of the machine that JupyterLab runs on.
func Python(ctx context.Context) (program string, uv bool, err error) {
	if program, err := exec.LookPath("uv"); err == nil {
		return program, true, nil
	}
	for _, name := range []string{"python3", "python3.14", "python3.13", "python3.12", "python3.11"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		check := fmt.Sprintf("import sys; sys.exit(sys.version_info < (3, %d))", oldestPython)
		if exec.CommandContext(ctx, path, "-c", check).Run() == nil {
			return path, false, nil
		}
	}
	return "", false, fmt.Errorf("JupyterLab needs Python 3.%d or newer, and there is none on the PATH: install it, or uv, which brings its own; or use Docker (docker compose up)", oldestPython)
}

func (e *Environment) buildTools(ctx context.Context) error {
	return network(e.run(ctx, nil, "go", "build", "-C", e.file("internal/jupyter/tools"), "-buildvcs=false", "-ldflags=-s",
		"-o", e.bin()+string(filepath.Separator), "github.com/janpfeifer/gonb", "golang.org/x/tools/gopls", "golang.org/x/tools/cmd/goimports"))
}

// warm fills the module and build caches, so that the first cell is quick and
// needs no network. A build alone would not do: GoNB works with a go.work,
// for which go reads the go.mod of every module that is required anywhere.
func (e *Environment) warm(ctx context.Context) error {
	if err := network(e.run(ctx, nil, "go", "mod", "download")); err != nil {
		return err
	}
	return e.run(ctx, cellEnvironment, "go", "build", "./pkg/...")
}

// installKernel tells JupyterLab of the kernel. The program that the kernel
// starts with is built anew each time: it comes from the repository itself.
func (e *Environment) installKernel(ctx context.Context) error {
	program := filepath.Join(e.bin(), "soclab")
	if err := e.run(ctx, nil, "go", "build", "-buildvcs=false", "-o", program, "./cmd/soclab"); err != nil {
		return fmt.Errorf("build the kernel's wrapper: %w", err)
	}
	spec, err := json.MarshalIndent(map[string]any{
		"argv":           []string{program, "kernel", "{connection_file}"},
		"display_name":   "Go (gonb)",
		"language":       "go",
		"interrupt_mode": "message", // GoNB ignores signals and stops the cell alone
	}, "", "  ")
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"share/jupyter/kernels/" + kernelName + "/kernel.json": spec,
		"share/jupyter/lab/settings/overrides.json":            overrides,
		"etc/jupyter/jupyter_nbconvert_config.json":            []byte(exports),
		"etc/jupyter/jupyter_server_config.json":               []byte(exports),
	}
	for name, data := range files {
		file := filepath.Join(e.python(), filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("install the kernel: %w", err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return fmt.Errorf("install the kernel: %w", err)
		}
	}
	return nil
}

// run runs a program in the repository. Its error shows what the program said
// last.
func (e *Environment) run(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = e.root
	cmd.Env = append(os.Environ(), "GOWORK=off", "PYTHONNOUSERSITE=1")
	cmd.Env = append(cmd.Env, env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		return fmt.Errorf("%s: %w\n%s", cmd, err, strings.Join(lines[max(0, len(lines)-8):], "\n"))
	}
	return nil
}

// network adds what to look at where a download may have failed.
func network(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w\nThis step downloads: is there a network, and a proxy that must be set? What is installed already is kept, so just start again", err)
}

func readAll(files ...string) ([]byte, error) {
	var all []byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read pinned versions: %w", err)
		}
		all = append(all, data...)
	}
	return all, nil
}

func digest(parts [][]byte) string {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d\n%s", len(part), part)
	}
	return hex.EncodeToString(hash.Sum(nil)) + "\n"
}
