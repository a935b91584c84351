package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"soclab/internal/folder"
	"soclab/internal/jupyter"
	"soclab/internal/need"
)

// TestUp runs "soclab up" as a user does, looks at JupyterLab, and presses
// Ctrl-C. It shares the repository's JupyterLab, but not its stack.
func TestUp(t *testing.T) {
	root, err := folder.Root()
	if err != nil {
		t.Fatal(err)
	}
	installed, err := folder.Home()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jupyter.Install(t.Context(), root, installed, os.Stderr); err != nil {
		need.Missing(t, "JupyterLab could not be installed, so soclab up was not tried: %v", err)
	}
	home := t.TempDir()
	if err := os.Symlink(filepath.Join(installed, "jupyter"), filepath.Join(home, "jupyter")); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "soclab")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program, "up", "--browser=false", "--free-ports", "--port", "0", "--json")
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KAFKA_BROKERS=") }),
		"SOCLAB_HOME="+home, "SOCLAB_DATA="+t.TempDir(), "JUPYTER_TOKEN=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	defer func() {
		_ = cmd.Process.Kill() // in case the test ends early
		<-exited
	}()
	var up struct {
		JupyterLab, Jaeger, Console string
	}
	err = json.NewDecoder(stdout).Decode(&up)
	go func() { exited <- cmd.Wait(); close(exited) }()
	if err != nil {
		_ = cmd.Process.Kill()
		<-exited
		t.Fatalf("no addresses: %v\n%s", err, stderr.String())
	}

	page, err := url.Parse(up.JupyterLab)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(page.Path, "/Producer.ipynb") || page.Hostname() != "127.0.0.1" {
		t.Errorf("JupyterLab opens at %s", page)
	}
	if body, status := fetch(t, page.String()); status != http.StatusOK || !strings.Contains(body, "JupyterLab") {
		t.Errorf("the page answers %d: %.200s", status, body)
	}
	specs := *page
	specs.Path = "/api/kernelspecs"
	body, _ := fetch(t, specs.String())
	var kernels struct {
		Kernelspecs map[string]any
	}
	if err := json.Unmarshal([]byte(body), &kernels); err != nil || len(kernels.Kernelspecs) != 1 || kernels.Kernelspecs["gonb"] == nil {
		t.Errorf("the kernels are %s (%v), want gonb alone", body, err)
	}
	specs.RawQuery = ""
	if _, status := fetch(t, specs.String()); status != http.StatusForbidden {
		t.Errorf("without the token it answers %d", status)
	}

	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-exited:
		if err != nil {
			t.Errorf("it ended with %v: %s", err, stderr.String())
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on after Ctrl-C")
	}
	for _, address := range []string{page.String(), up.Jaeger, up.Console} {
		if _, err := http.Get(address); err == nil {
			t.Errorf("%s answers after Ctrl-C", address)
		}
	}
}

func fetch(t *testing.T, address string) (body string, status int) {
	t.Helper()
	response, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), response.StatusCode
}
