package notebook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"soclab/internal/address"
	"soclab/internal/folder"
)

// Worker is a soclab command in a process of its own, as it might run on
// another machine: it shares nothing with the cell but topics and files.
type Worker struct {
	cmd    *exec.Cmd
	said   bytes.Buffer
	ended  chan struct{}
	err    error
	killed bool
}

// NewWorker starts "soclab args...", with the cell's Kafka. It is told to stop
// when ctx ends.
func NewWorker(ctx context.Context, args ...string) (*Worker, error) {
	program := []string{"soclab"}
	if _, err := exec.LookPath(program[0]); err != nil { // a kernel without the lab's tools
		program = []string{"go", "run", "soclab/cmd/soclab"}
	}
	root, err := folder.Root()
	if err != nil {
		return nil, err
	}
	brokers, _ := address.Brokers()
	args = slices.Concat(program[1:], args, []string{"--brokers", strings.Join(brokers, ",")})
	w := &Worker{cmd: exec.CommandContext(ctx, program[0], args...), ended: make(chan struct{})}
	w.cmd.Dir = root
	w.cmd.Stdout, w.cmd.Stderr = &w.said, &w.said
	w.cmd.Cancel = func() error { return w.cmd.Process.Signal(syscall.SIGTERM) }
	w.cmd.WaitDelay = 5 * time.Second
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", w.cmd, err)
	}
	go func() {
		w.err = w.cmd.Wait()
		close(w.ended)
	}()
	return w, nil
}

// Running tells whether the worker is still at work.
func (w *Worker) Running() bool {
	select {
	case <-w.ended:
		return false
	default:
		return true
	}
}

// Crash kills the worker's process at once, as a power cut would.
func (w *Worker) Crash() error {
	w.killed = true
	err := w.cmd.Process.Kill()
	<-w.ended
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	return err
}

// Stop tells the worker to finish, as Ctrl-C does, and waits for it. A cell
// should defer it: a worker that outlived its cell would go on.
func (w *Worker) Stop() error {
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", w.cmd, err)
	}
	err := w.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 130 { // stopped, as it was told
		return nil
	}
	return err
}

// Wait waits until the worker has ended. Its error holds what the worker said.
func (w *Worker) Wait() error {
	<-w.ended
	if w.err == nil || w.killed {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", w.cmd, w.err, strings.TrimSpace(w.said.String()))
}
