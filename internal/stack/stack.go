// Package stack runs the lab without Docker: an embedded Kafka-protocol broker,
// a trace collector and the pages that show them, in this process and on
// loopback ports. One home folder has at most one live stack, which other
// processes find and join.
package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"soclab/internal/address"
	"soclab/internal/broker"
	"soclab/internal/collector"
	"soclab/internal/console"
	"soclab/internal/folder"
)

// Addresses says where the parts of a stack are.
type Addresses struct {
	Brokers []string `json:"brokers"` // Kafka bootstrap addresses, host:port
	OTLP    string   `json:"otlp"`    // base URL for OTLP over HTTP
	Jaeger  string   `json:"jaeger"`  // base URL of the query API and its pages
	Console string   `json:"console"` // base URL of the pages about topics
	PID     int      `json:"pid"`     // of the process that runs them
}

// Environ are the variables by which programs find the stack.
func (a Addresses) Environ() []string {
	return []string{
		address.Kafka.Variable + "=" + strings.Join(a.Brokers, ","),
		address.OTLP.Variable + "=" + a.OTLP,
		address.Jaeger.Variable + "=" + a.Jaeger,
		address.Console.Variable + "=" + a.Console,
	}
}

// Options says where a stack lives.
type Options struct {
	// Home is the folder of the broker's log, the traces and the lock files;
	// "" means [folder.Home].
	Home string

	// FreePorts takes any free loopback ports. Otherwise the ports are those
	// of package address, which are the compose stack's as well.
	FreePorts bool
}

// Stack is a live stack, run by this process or joined.
type Stack struct {
	Addresses
	locks *locks
	owned []func() error // closes what this process runs, in order; nil if joined
}

// Owned tells whether this process runs the stack.
func (s *Stack) Owned() bool { return s.owned != nil }

// Start runs a stack. It is an error if the home folder has a live one, or if a
// port is taken.
func Start(ctx context.Context, opts Options) (*Stack, error) {
	s, err := use(ctx, opts, true)
	if err == nil && !s.Owned() {
		err = fmt.Errorf("a stack is already running over %s: process %d, brokers %v", s.locks.home, s.PID, s.Brokers)
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, err
}

// Join finds the live stack of the home folder, "" for [folder.Home]; false if there
// is none.
func Join(ctx context.Context, home string) (*Stack, bool, error) {
	s, err := use(ctx, Options{Home: home}, false)
	return s, s != nil, err
}

// Use joins the live stack of the home folder, or else runs one. Of several
// processes that call it at the same moment one runs the stack.
func Use(ctx context.Context, opts Options) (*Stack, error) {
	return use(ctx, opts, true)
}

func use(ctx context.Context, opts Options, start bool) (*Stack, error) {
	home := opts.Home
	if home == "" {
		var err error
		if home, err = folder.Home(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("use stack: %w", err)
	}
	locks := newLocks(home)
	s, err := enter(ctx, locks, opts, start)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("use stack over %s: %w", home, err), locks.release())
	}
	if s == nil {
		return nil, locks.release()
	}
	return s, nil
}

// enter decides under the gate, so that it sees no half-started or
// half-stopped stack.
func enter(ctx context.Context, locks *locks, opts Options, start bool) (*Stack, error) {
	if err := locks.enterGate(ctx); err != nil {
		return nil, err
	}
	defer locks.leaveGate()
	free, err := locks.own()
	if err != nil {
		return nil, err
	}
	if !free {
		addresses, err := locks.join()
		if err != nil {
			return nil, err
		}
		return &Stack{Addresses: addresses, locks: locks}, nil
	}
	if !start {
		return nil, nil
	}
	s := &Stack{locks: locks}
	if err := s.run(opts); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if err := locks.announce(s.Addresses); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// run starts the parts.
func (s *Stack) run(opts Options) error {
	addr := func(part address.Service) string {
		if opts.FreePorts {
			part.Port = "0"
		}
		return net.JoinHostPort("127.0.0.1", part.Port)
	}
	home := s.locks.home

	kafka, err := broker.Start(broker.Options{Dir: filepath.Join(home, "broker"), Addr: addr(address.Kafka)})
	if err != nil {
		return portError(err, "Kafka", addr(address.Kafka))
	}
	s.owned = append(s.owned, func() error { kafka.Close(); return nil })
	s.Brokers = []string{kafka.Addr()}

	traces, err := collector.Open(filepath.Join(home, "traces"), collector.Limits{})
	if err != nil {
		return err
	}
	s.owned = append(s.owned, traces.Close)

	if s.OTLP, err = s.serve("OTLP", addr(address.OTLP), traces.OTLP()); err != nil {
		return err
	}
	if s.Jaeger, err = s.serve("Jaeger", addr(address.Jaeger), traces.Query()); err != nil {
		return err
	}
	if s.Console, err = s.serve("Console", addr(address.Console), console.New(s.Brokers, s.Jaeger)); err != nil {
		return err
	}
	s.PID = os.Getpid()
	return nil
}

// serve serves one site until the stack stops and returns its base URL.
func (s *Stack) serve(name, addr string, handler http.Handler) (string, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", portError(err, name, addr)
	}
	server := &http.Server{
		Handler:           localOnly(handler),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	s.owned = append(s.owned, func() error {
		// Answers under way are short; a client that hangs does not hold us up.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return "http://" + ln.Addr().String(), nil
}

// localOnly refuses requests for another host than this one: a web page
// elsewhere could otherwise read the stack through a name of its own that
// resolves to 127.0.0.1 (DNS rebinding).
func localOnly(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "this server answers on localhost only", http.StatusForbidden)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

func portError(err error, service, addr string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s's address %s is taken by another program (the compose stack?): stop that program, or use --free-ports", service, addr)
	}
	return fmt.Errorf("start %s on %s: %w", service, addr, err)
}

// Shared tells whether others have joined the stack that this process runs, so
// that Close will wait for them.
func (s *Stack) Shared(ctx context.Context) (bool, error) {
	if !s.Owned() {
		return false, nil
	}
	if err := s.locks.enterGate(ctx); err != nil {
		return false, err
	}
	defer s.locks.leaveGate()
	alone, err := s.locks.alone()
	return !alone, err
}

// Close leaves a joined stack. One that this process runs it stops, once all
// that have joined it have left, or ctx ends. It must be called once.
func (s *Stack) Close(ctx context.Context) error {
	if !s.Owned() {
		return s.locks.release()
	}
	gate := s.locks.enterAlone(ctx)
	return errors.Join(s.stop(), gate, s.locks.release())
}

// stop closes what this process runs: the pages first, the broker last.
func (s *Stack) stop() error {
	var errs []error
	for _, end := range slices.Backward(s.owned) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}
