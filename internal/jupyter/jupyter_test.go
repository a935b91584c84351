package jupyter

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestKernelEnvironment(t *testing.T) {
	got := kernelEnvironment([]string{"HOME=/h", "PATH=/usr/bin", "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=https://p", "CGO_ENABLED=1", "A=b=c"}, "/lab/bin")
	want := []string{"HOME=/h", "A=b=c", "PATH=/lab/bin:/usr/bin", "CGO_ENABLED=0", "GOFLAGS=" + cellFlags, "GOPROXY=off", "GOWORK="}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestKernelErrors(t *testing.T) {
	t.Run("no repository", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if err := Kernel("connection.json"); err == nil || !strings.Contains(err.Error(), "no go.mod") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not installed", func(t *testing.T) { // there is no gonb beside the test's program
		if err := Kernel("connection.json"); err == nil || !strings.Contains(err.Error(), "run soclab up once") {
			t.Errorf("got %v", err)
		}
	})
}

// The kernel, which tools/go.mod pins, and the package with which cells draw in
// it, which the lab's own go.mod pins, are one module.
func TestKernelAndCellsAreOfOneVersion(t *testing.T) {
	version := regexp.MustCompile(`(?m)github\.com/janpfeifer/gonb (v\S+)`)
	var pinned []string
	for _, file := range []string{"tools/go.mod", "../../go.mod"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pinned = append(pinned, version.FindString(string(data)))
	}
	if pinned[0] == "" || pinned[0] != pinned[1] {
		t.Errorf("the kernel is %q, the cells' package %q", pinned[0], pinned[1])
	}
}

// program makes a shell script that stands for a program.
func program(t *testing.T, path, script string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestPython(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("PATH", folder)
	if _, _, err := Python(t.Context()); err == nil || !strings.Contains(err.Error(), "Python 3.11 or newer") {
		t.Errorf("without Python: %v", err)
	}
	program(t, filepath.Join(folder, "python3"), "exit 1") // as one that is too old answers
	if _, _, err := Python(t.Context()); err == nil {
		t.Error("a Python that is too old is accepted")
	}
	program(t, filepath.Join(folder, "python3.13"), "exit 0")
	if got, _, err := Python(t.Context()); err != nil || filepath.Base(got) != "python3.13" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestInstallWithoutGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Install(t.Context(), t.TempDir(), t.TempDir(), &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "go must be on the PATH") {
		t.Errorf("got %v", err)
	}
}

func TestRunTellsWhatWasSaid(t *testing.T) {
	e := &Environment{root: t.TempDir()}
	tool := filepath.Join(t.TempDir(), "tool")
	program(t, tool, "echo could not resolve host >&2; exit 3")
	err := network(e.run(t.Context(), nil, tool, "install"))
	for _, want := range []string{tool + " install", "exit status 3", "could not resolve host", "is there a network"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = (&Environment{}).Start(t.Context(), Options{Port: taken.Addr().(*net.TCPAddr).Port})
	if err == nil || !strings.Contains(err.Error(), "is taken") || !strings.Contains(err.Error(), "--port") {
		t.Errorf("got %v", err)
	}
}

// fake is an environment whose JupyterLab is a shell script.
func fake(t *testing.T, script string) *Environment {
	e := &Environment{root: t.TempDir(), folder: t.TempDir()}
	program(t, filepath.Join(e.python(), "bin", "jupyter-lab"), script)
	return e
}

func TestLabThatEnds(t *testing.T) {
	_, err := fake(t, "exit 1").Start(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), "ended while it started") {
		t.Errorf("got %v", err)
	}
}

// TestLab checks what a server is told and that it is stopped, with a script
// that hands its port to this test's own server.
func TestLab(t *testing.T) {
	told := filepath.Join(t.TempDir(), "told")
	e := fake(t, `trap 'exit 0' TERM
echo "$@" "$JUPYTER_TOKEN" >`+told+`.new && mv `+told+`.new `+told+`
while :; do sleep 0.1; done`)
	var lab *Lab
	started := make(chan error, 1)
	go func() {
		var err error
		lab, err = e.Start(t.Context(), Options{Token: "secret"})
		started <- err
	}()
	var args string
	for deadline := time.Now().Add(10 * time.Second); args == ""; time.Sleep(10 * time.Millisecond) {
		data, _ := os.ReadFile(told)
		if args = string(data); time.Now().After(deadline) {
			t.Fatal("JupyterLab was not started")
		}
	}
	_, rest, _ := strings.Cut(args, "--ServerApp.port=")
	port, _, _ := strings.Cut(rest, " ")
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api" {
			http.NotFound(w, r)
		}
	})}
	go server.Serve(listener)
	defer server.Close()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if want := "http://127.0.0.1:" + port + "/lab/tree/notebooks/1.%20Mittre%20classification/Producer.ipynb?token=secret"; lab.URL != want {
		t.Errorf("URL is %s, want %s", lab.URL, want)
	}
	for _, want := range []string{"--ServerApp.ip=127.0.0.1", "--ServerApp.root_dir=" + e.root, "allowed_kernelspecs=gonb", "secret"} {
		if !strings.Contains(args, want) {
			t.Errorf("JupyterLab was started with %s, want %s", args, want)
		}
	}
	if strings.Contains(args, "token=") {
		t.Error("the token can be read in the list of processes")
	}
	if err := lab.Stop(); err != nil {
		t.Error(err)
	}
	<-lab.Exited()
}

func TestURLOfTheServerThatAnswers(t *testing.T) {
	const token = "secret"
	lab := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/status" || r.URL.Query().Get("token") != token {
			http.NotFound(w, r)
		}
	}))
	defer lab.Close()

	home := t.TempDir()
	if _, err := Running(t.Context(), home); err != ErrNotRunning {
		t.Errorf("without any server: %v", err)
	}
	runtime := at("", home).runtime()
	if err := os.MkdirAll(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	_, live, _ := net.SplitHostPort(lab.Listener.Addr().String())
	gone := httptest.NewServer(http.NotFoundHandler())
	_, dead, _ := net.SplitHostPort(gone.Listener.Addr().String())
	gone.Close()
	for name, text := range map[string]string{
		"jpserver-1.json": `{"port": ` + dead + `, "base_url": "/", "token": "old"}`,
		"jpserver-2.json": `{"port": `, // being written
		"jpserver-3.json": `{"port": ` + live + `, "base_url": "/", "token": ` + strconv.Quote(token) + `}`,
	} {
		if err := os.WriteFile(filepath.Join(runtime, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := "http://127.0.0.1:" + live + "/lab/tree/notebooks/1.%20Mittre%20classification/Producer.ipynb?token=secret"
	if got, err := Running(t.Context(), home); err != nil || got != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}
