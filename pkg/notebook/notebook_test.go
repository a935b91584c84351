package notebook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cells are programs that the tests run as processes of their own, as the
// kernel runs a cell.
var cells = map[string]func(){
	"success": func() {
		_, stop := Context()
		defer stop()
		defer fmt.Println("closed")
		fmt.Println(Must(42, nil))
	},
	"failure": func() {
		_, stop := Context()
		defer stop()
		defer fmt.Println("closed")
		Check(errors.New("the disk is full"))
		fmt.Println("not reached")
	},
	"failure before Context": func() {
		Must(0, fmt.Errorf("open %s: %w", "raw_packets.csv", os.ErrNotExist))
	},
	"checkpoint": func() {
		_, stop := Context()
		defer stop()
		Checkpoint(1 > 2, "only %d events: run step 2", 7)
	},
	"stopped": func() {
		ctx, stop := Context()
		defer stop()
		defer fmt.Println("closed")
		process, err := os.FindProcess(os.Getpid())
		Check(err)
		Check(process.Signal(os.Interrupt)) // as the stop button does
		<-ctx.Done()
		Check(fmt.Errorf("drain: %w", ctx.Err()))
	},
	"panic": func() {
		_, stop := Context()
		defer stop()
		panic("a bug")
	},
}

func TestMain(m *testing.M) {
	if cell, ok := cells[os.Getenv("NOTEBOOK_CELL")]; ok {
		cell()
		return
	}
	os.Exit(m.Run())
}

func TestCell(t *testing.T) {
	for _, c := range []struct {
		cell           string
		exit           int
		stdout, stderr string // what must be in it
	}{
		{"success", 0, "42\nclosed\n", ""},
		{"failure", 1, "closed\n", "the disk is full\n"},
		{"failure before Context", 1, "", "run Producer.ipynb, then Consumer_Classifier.ipynb"},
		{"checkpoint", 1, "", "checkpoint: only 7 events: run step 2\n"},
		{"stopped", 0, "closed\n*Stopped.", ""},
		{"panic", 2, "", "panic: a bug"},
	} {
		t.Run(c.cell, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "NOTEBOOK_CELL="+c.cell)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != c.exit {
				t.Errorf("exit status %d, want %d", got, c.exit)
			}
			if !strings.HasPrefix(stdout.String(), c.stdout) {
				t.Errorf("stdout %q, want %q", stdout.String(), c.stdout)
			}
			if !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("stderr %q, want %q", stderr.String(), c.stderr)
			}
			if c.exit < 2 && strings.Contains(stderr.String(), "goroutine") {
				t.Errorf("stderr has a stack trace:\n%s", stderr.String())
			}
		})
	}
}

func TestData(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("SOCLAB_DATA", folder)
	if got, want := Data("truth.csv"), filepath.Join(folder, "truth.csv"); got != want {
		t.Errorf("Data is %s, want %s", got, want)
	}
}

func TestEvery(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var times []time.Duration
	for elapsed := range Every(ctx, time.Millisecond) {
		if times = append(times, elapsed); len(times) == 3 {
			cancel()
		}
	}
	if len(times) != 3 {
		t.Errorf("%d rounds, want the 3 before the context ended", len(times))
	}
	for range Every(ctx, time.Hour) {
		t.Error("a round after the context ended")
	}
}

func TestLinks(t *testing.T) {
	t.Setenv("CONSOLE_URL", "")
	t.Setenv("JAEGER_URL", "http://jaeger:16686")
	t.Setenv("JAEGER_PUBLIC_URL", "")
	for got, want := range map[string]string{
		Topic("events.raw"): "[events.raw in Console](http://localhost:8080/topics/events.raw)",
		Topic("a b/c"):      "[a b/c in Console](http://localhost:8080/topics/a%20b%2Fc)",
		Trace("4bf9"):       "[Trace 4bf9 in Jaeger](http://jaeger:16686/trace/4bf9)",
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	t.Setenv("JAEGER_PUBLIC_URL", "http://localhost:16686")
	if got, want := Trace("4bf9"), "[Trace 4bf9 in Jaeger](http://localhost:16686/trace/4bf9)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
