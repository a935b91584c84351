package jupyter

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Port is the one that JupyterLab is looked for at.
const Port = 8888

// firstNotebook is what JupyterLab opens, relative to the repository.
const firstNotebook = "notebooks/1. Mittre classification/Producer.ipynb"

// Options says how JupyterLab is served. Its zero value is loopback, a free
// port and a random token.
type Options struct {
	Host  string // address to listen at; 127.0.0.1 if empty
	Port  int    // 0: any free one
	Token string // what the browser must show; random if empty
	Env   []string
	Args  []string  // further arguments of jupyter lab
	Log   io.Writer // what the server says; nil: nothing
}

// Lab is a JupyterLab server.
type Lab struct {
	URL    string // opens in a browser, with the token
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended, err tells how
	err    error
}

// LogFile is where the server's log belongs.
func (e *Environment) LogFile() string { return filepath.Join(e.folder, "jupyter.log") }

// Command is a program of the environment, such as jupyter, ready to be run in
// the repository. It sees no other Jupyter's settings.
func (e *Environment) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	bin := filepath.Join(e.python(), "bin")
	cmd := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
	cmd.Dir = e.root
	cmd.Env = append(os.Environ(),
		"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"PYTHONNOUSERSITE=1",
		"JUPYTER_CONFIG_DIR="+filepath.Join(e.folder, "config"),
		"JUPYTER_DATA_DIR="+filepath.Join(e.folder, "share"),
		"JUPYTER_RUNTIME_DIR="+e.runtime(),
		"JUPYTERLAB_WORKSPACES_DIR="+filepath.Join(e.folder, "workspaces"),
		"IPYTHONDIR="+filepath.Join(e.folder, "ipython"),
	)
	return cmd
}

// Start runs JupyterLab and returns when it answers. It serves the repository,
// until Stop.
func (e *Environment) Start(ctx context.Context, o Options) (*Lab, error) {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Token == "" {
		o.Token = rand.Text()
	}
	// Jupyter reports a taken port only in its log, so look before.
	probe, err := net.Listen("tcp", net.JoinHostPort(o.Host, strconv.Itoa(o.Port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("JupyterLab's address %s is taken by another program (another soclab up, another JupyterLab?): stop that program, or choose another port with --port",
			net.JoinHostPort(o.Host, strconv.Itoa(o.Port)))
	} else if err != nil {
		return nil, fmt.Errorf("start JupyterLab: %w", err)
	}
	port := probe.Addr().(*net.TCPAddr).Port
	if err := probe.Close(); err != nil {
		return nil, fmt.Errorf("start JupyterLab: %w", err)
	}

	cmd := e.Command(context.WithoutCancel(ctx), "jupyter-lab", append([]string{
		"--no-browser",
		"--allow-root", // in containers that is often the only user
		"--ServerApp.ip=" + o.Host,
		"--ServerApp.port=" + strconv.Itoa(port),
		"--ServerApp.port_retries=0",
		"--ServerApp.root_dir=" + e.root,
		"--ServerApp.use_redirect_file=False",
		"--KernelSpecManager.ensure_native_kernel=False",
		"--KernelSpecManager.allowed_kernelspecs=" + kernelName,
		"--MultiKernelManager.default_kernel_name=" + kernelName,
		"--LabApp.news_url=None",
		"--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
		"--LabApp.extension_manager=readonly",
	}, o.Args...)...)
	cmd.Env = append(append(cmd.Env, "JUPYTER_TOKEN="+o.Token), o.Env...)
	cmd.Stdout, cmd.Stderr = o.Log, o.Log
	// Of its own process group, or a Ctrl-C in the terminal would reach it, too,
	// and it would ask whether that was meant.
	cmd.SysProcAttr = ownGroup()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start JupyterLab: %w", err)
	}
	host := o.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	base := url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(port))}
	lab := &Lab{URL: address(base, o.Token, "lab", "tree", firstNotebook), cmd: cmd, exited: make(chan struct{})}
	go func() {
		lab.err = cmd.Wait()
		close(lab.exited)
	}()
	if err := lab.ready(ctx, address(base, o.Token, "api")); err != nil {
		return nil, errors.Join(err, lab.Stop())
	}
	return lab, nil
}

// address is a page of a server at base, with the token.
func address(base url.URL, token string, path ...string) string {
	page := base.JoinPath(path...)
	page.RawQuery = url.Values{"token": {token}}.Encode()
	return page.String()
}

// answers tells whether a page is there.
func answers(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// runtime is where each server leaves a file about itself, which one that was
// killed left, too.
func (e *Environment) runtime() string { return filepath.Join(e.folder, "runtime") }

// ErrNotRunning tells that no JupyterLab of a home answers.
var ErrNotRunning = errors.New("no JupyterLab answers: start it with `soclab up` or `docker compose up -d`")

// Running returns the URL, with the token, of the JupyterLab that runs over home,
// or [ErrNotRunning].
func Running(ctx context.Context, home string) (string, error) {
	root := os.DirFS(at("", home).runtime())
	files, err := fs.Glob(root, "jpserver-*.json")
	if err != nil {
		return "", err
	}
	for _, file := range files {
		data, err := fs.ReadFile(root, file)
		if err != nil {
			return "", fmt.Errorf("find JupyterLab: %w", err)
		}
		var server struct {
			Port     int    `json:"port"`
			BasePath string `json:"base_url"`
			Token    string `json:"token"`
		}
		if err := json.Unmarshal(data, &server); err != nil {
			continue // being written
		}
		base := url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(server.Port)), Path: cmp.Or(server.BasePath, "/")}
		if answers(ctx, address(base, server.Token, "api", "status")) {
			return address(base, server.Token, "lab", "tree", firstNotebook), nil
		}
	}
	return "", ErrNotRunning
}

// ready waits until the server answers.
func (l *Lab) ready(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if answers(ctx, address) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for JupyterLab to answer: %w", ctx.Err())
		case <-l.exited:
			return fmt.Errorf("JupyterLab ended while it started: %w: see its log", l.err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Exited is closed when the server has ended, by Stop or by itself.
func (l *Lab) Exited() <-chan struct{} { return l.exited }

// Stop ends the server and its kernels.
func (l *Lab) Stop() error {
	select {
	case <-l.exited:
		return nil
	default:
	}
	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop JupyterLab: %w", err)
	}
	select {
	case <-l.exited:
		return nil
	case <-time.After(10 * time.Second):
		return l.cmd.Process.Kill()
	}
}
