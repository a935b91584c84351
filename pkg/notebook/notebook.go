// Package notebook is the Jupyter side of the lab: what a cell needs that a
// program would not. A cell ends with the stop button, says in a sentence what
// went wrong, and shows tables, pictures and progress as its output.
//
// The Go kernel runs each cell as a program of its own, so nothing but files
// and topics outlives a cell: it opens and closes all that it uses.
package notebook

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"soclab/internal/address"
	"soclab/internal/folder"
)

// failure is what Check panics with: unlike os.Exit, a panic lets the cell's
// deferred functions close what it has open.
type failure struct{ error }

// caught tells that the cell will recover from a failure, which it does once it
// has deferred the function that Context returned.
var caught atomic.Bool

// Context returns the context of a cell, which ends with Jupyter's stop button,
// and a function that the cell must defer at once, before it opens anything:
//
//	ctx, stop := notebook.Context()
//	defer stop()
//
// That function also ends the cell where [Check] or [Must] failed.
func Context() (context.Context, func()) {
	log.SetFlags(0) // what the packages log is for the reader: no time before it
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	caught.Store(true)
	return ctx, func() {
		stopped := ctx.Err() != nil
		cancel()
		switch thrown := recover().(type) {
		case nil:
		case failure:
			if stopped && errors.Is(thrown.error, context.Canceled) {
				Show("*Stopped. Run the cell again to go on.*")
				return
			}
			fail(thrown.error)
		default:
			panic(thrown)
		}
	}
}

// Check ends the cell with a sentence if err is not nil. What the cell has
// deferred is run first. It must be called by the cell's own goroutine.
func Check(err error) {
	if err == nil {
		return
	}
	if !caught.Load() {
		fail(err)
	}
	panic(failure{err})
}

// Must returns value, or ends the cell as [Check] does.
func Must[T any](value T, err error) T {
	Check(err)
	return value
}

// Checkpoint ends the cell with a hint unless what it checks is so.
func Checkpoint(ok bool, hint string, args ...any) {
	if !ok {
		Check(fmt.Errorf("checkpoint: "+hint, args...))
	}
	Show("✓ *Checkpoint passed.*")
}

// fail says what went wrong and, where the error does not say it itself, what to
// do, and ends the cell.
func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	switch {
	case errors.Is(err, os.ErrNotExist):
		fmt.Fprintln(os.Stderr, "It is made by an earlier step: run Producer.ipynb, then Consumer_Classifier.ipynb.")
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Fprintln(os.Stderr, "It took too long: is the lab running, and is another program busy with it?")
	}
	os.Exit(1)
}

// Data is the path of a file in the lab's data folder, such as
// raw_packets.csv.
func Data(name string) string {
	return filepath.Join(Must(folder.Data()), name)
}

// Rules is the folder of the user's own Sigma rules: SOCLAB_RULES, else rules in
// the data folder, which is created if needed. Cells and workers read the same.
func Rules() string {
	dir := Must(folder.Rules(Must(folder.Data())))
	Check(os.MkdirAll(dir, 0o755))
	return dir
}

// Every yields the time since it began, at once and then once in each interval,
// until ctx ends.
func Every(ctx context.Context, interval time.Duration) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for start := time.Now(); ctx.Err() == nil && yield(time.Since(start)); {
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	}
}

// Topic is a link to the messages of a topic in Redpanda Console, at
// CONSOLE_URL, else http://localhost:8080, for [Show].
func Topic(name string) string {
	return fmt.Sprintf("[%s in Console](%s/topics/%s)", name, address.Console.URL(""), url.PathEscape(name))
}

// Trace is a link to a trace in Jaeger, for [Show]. The address is that for the
// reader's browser, JAEGER_PUBLIC_URL where it is another than JAEGER_URL, by
// which cells reach Jaeger; else http://localhost:16686.
func Trace(id string) string {
	return fmt.Sprintf("[Trace %s in Jaeger](%s/trace/%s)", id, address.JaegerPages(), url.PathEscape(id))
}
