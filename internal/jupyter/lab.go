package jupyter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
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

// Options says how JupyterLab is served. Its zero value is loopback, a free
// port and a random token.
type Options struct {
	Host  string // address to listen at; 127.0.0.1 if empty
	Port  int    // 0: any free one
	Token string // what the browser must show; random if empty
	Open  string // the notebook that the URL opens, relative to the repository, with slashes
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

// PortError tells that JupyterLab's port is taken.
type PortError struct{ Addr string }

func (e *PortError) Error() string {
	return fmt.Sprintf("JupyterLab's address %s is taken by another program (another soclab up, another JupyterLab?): stop that program, or choose another port with --port", e.Addr)
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
		"JUPYTER_RUNTIME_DIR="+filepath.Join(e.folder, "runtime"),
		"JUPYTERLAB_WORKSPACES_DIR="+filepath.Join(e.folder, "workspaces"),
		"IPYTHONDIR="+filepath.Join(e.folder, "ipython"),
	)
	return cmd
}

// Start runs JupyterLab and returns when it answers. It serves the repository,
// until Stop. A taken port is a [*PortError].
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
		return nil, &PortError{net.JoinHostPort(o.Host, strconv.Itoa(o.Port))}
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
		"--KernelSpecManager.allowed_kernelspecs=" + KernelName,
		"--MultiKernelManager.default_kernel_name=" + KernelName,
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
	page := base.JoinPath("lab")
	if o.Open != "" {
		page = page.JoinPath("tree", o.Open)
	}
	page.RawQuery = url.Values{"token": {o.Token}}.Encode()
	lab := &Lab{URL: page.String(), cmd: cmd, exited: make(chan struct{})}
	go func() {
		lab.err = cmd.Wait()
		close(lab.exited)
	}()
	if err := lab.ready(ctx, base.JoinPath("api").String()); err != nil {
		return nil, errors.Join(err, lab.Stop())
	}
	return lab, nil
}

// ready waits until the server answers.
func (l *Lab) ready(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
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
