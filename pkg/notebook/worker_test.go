package notebook

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// soclab puts a shell script that stands for the lab's program on the PATH.
func soclab(t *testing.T, script string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "soclab"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("KAFKA_BROKERS", "kafka:19092")
}

func start(t *testing.T, ctx context.Context, args ...string) *Worker {
	t.Helper()
	w, err := NewWorker(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWorker(t *testing.T) {
	const untilStopped = `trap 'exit 130' TERM; echo ready; while :; do sleep 0.01; done`
	t.Run("succeeds", func(t *testing.T) {
		soclab(t, `[ "$*" = "produce --events 7 --brokers kafka:19092" ]`)
		w := start(t, t.Context(), "produce", "--events", "7")
		if err := w.Wait(); err != nil {
			t.Error(err)
		}
		if w.Running() {
			t.Error("it runs after Wait")
		}
		if err := w.Stop(); err != nil {
			t.Errorf("stop one that has ended: %v", err)
		}
	})
	t.Run("fails", func(t *testing.T) {
		soclab(t, "echo soclab: no Kafka answers >&2; exit 1")
		if err := start(t, t.Context(), "classify").Wait(); err == nil || !strings.Contains(err.Error(), "no Kafka answers") {
			t.Errorf("got %v, want what it said", err)
		}
	})
	t.Run("crashes", func(t *testing.T) {
		soclab(t, untilStopped)
		w := start(t, t.Context(), "classify")
		if !w.Running() {
			t.Error("it does not run")
		}
		if err := w.Crash(); err != nil {
			t.Error(err)
		}
		if w.Running() {
			t.Error("it runs after a crash")
		}
		if err := w.Wait(); err != nil {
			t.Errorf("a crash that was wanted is an error: %v", err)
		}
	})
	t.Run("ends with its context", func(t *testing.T) {
		soclab(t, untilStopped)
		ctx, cancel := context.WithCancel(t.Context())
		w := start(t, ctx, "classify")
		cancel()
		if err := w.Wait(); err == nil {
			t.Error("ended by its context, and no error")
		}
	})
	t.Run("stops", func(t *testing.T) {
		ready := filepath.Join(t.TempDir(), "ready")
		soclab(t, `trap 'exit 130' TERM; : >`+ready+`; while :; do sleep 0.01; done`)
		w := start(t, t.Context(), "classify")
		for w.Running() { // until the trap is set
			if _, err := os.Stat(ready); err == nil {
				break
			}
		}
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
}
