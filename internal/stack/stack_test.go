package stack_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"github.com/segmentio/kafka-go"

	"soclab/internal/stack"
)

// TestMain runs a stack alone, to be killed, when a test asks for it.
func TestMain(m *testing.M) {
	if home := os.Getenv("STACK_TEST_HOME"); home != "" {
		s, err := stack.Start(context.Background(), stack.Options{Home: home, FreePorts: true})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(s.Jaeger)
		select {}
	}
	os.Exit(m.Run())
}

func use(t *testing.T, home string) *stack.Stack {
	t.Helper()
	s, err := stack.Use(t.Context(), stack.Options{Home: home, FreePorts: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStack(t *testing.T, s *stack.Stack) {
	t.Helper()
	if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// checkAlive checks that every address answers.
func checkAlive(t *testing.T, a stack.Addresses) {
	t.Helper()
	client := &kafka.Client{Addr: kafka.TCP(a.Brokers...), Transport: &kafka.Transport{}}
	if _, err := client.Metadata(t.Context(), &kafka.MetadataRequest{}); err != nil {
		t.Errorf("broker: %v", err)
	}
	for url, want := range map[string]int{
		a.OTLP + "/v1/traces":       http.StatusMethodNotAllowed,
		a.Jaeger + "/api/services":  http.StatusOK,
		a.Console + "/admin/health": http.StatusOK,
	} {
		response, err := http.Get(url)
		if err != nil {
			t.Error(err)
			continue
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("GET %s: %s, want %d", url, response.Status, want)
		}
	}
}

func TestStart(t *testing.T) {
	home := filepath.Join(t.TempDir(), ".soclab")
	s, err := stack.Start(t.Context(), stack.Options{Home: home, FreePorts: true})
	if err != nil {
		t.Fatal(err)
	}
	checkAlive(t, s.Addresses)
	if info, err := os.Stat(home); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("home is %v, %v, want mode 0700", info.Mode(), err)
	}

	var running *stack.RunningError
	if _, err := stack.Start(t.Context(), stack.Options{Home: home, FreePorts: true}); !errors.As(err, &running) ||
		!reflect.DeepEqual(running.Addresses, s.Addresses) {
		t.Errorf("a second Start returns %v, want a RunningError with the addresses of the first", err)
	}
	closeStack(t, s)
	if _, err := net.Dial("tcp", s.Brokers[0]); err == nil {
		t.Error("the broker is still there after Close")
	}
	if joined, ok, err := stack.Join(t.Context(), home); joined != nil || ok || err != nil {
		t.Errorf("Join after Close: %v, %v, %v", joined, ok, err)
	}
}

func TestUseAtTheSameMoment(t *testing.T) {
	home := t.TempDir()
	stacks := make([]*stack.Stack, 8)
	var started sync.WaitGroup
	for i := range stacks {
		started.Go(func() { stacks[i] = use(t, home) })
	}
	started.Wait()

	owners := 0
	var closed sync.WaitGroup
	for _, s := range stacks {
		if !reflect.DeepEqual(s.Addresses, stacks[0].Addresses) {
			t.Errorf("addresses differ: %v and %v", s.Addresses, stacks[0].Addresses)
		}
		if s.Owned() {
			owners++
			if shared, err := s.Shared(t.Context()); !shared || err != nil {
				t.Errorf("the owner's stack is shared: %v, %v", shared, err)
			}
			closed.Go(func() { closeStack(t, s) })
		}
	}
	if owners != 1 {
		t.Fatalf("%d own the stack, want 1", owners)
	}
	// The owner waits for all others, and serves them meanwhile.
	for _, s := range stacks {
		if !s.Owned() {
			checkAlive(t, s.Addresses)
			closeStack(t, s)
		}
	}
	closed.Wait()
	next := use(t, home)
	if !next.Owned() {
		t.Error("after the last Close, Use joined a stack")
	}
	closeStack(t, next)
}

func TestCloseDoesNotWaitWhenCancelled(t *testing.T) {
	home := t.TempDir()
	owner, member := use(t, home), use(t, home)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := owner.Close(ctx); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", owner.Brokers[0]); err == nil {
		t.Error("the broker is still there")
	}
	closeStack(t, member)
}

func TestJoinsWhileTheOwnerWaits(t *testing.T) {
	home := t.TempDir()
	owner, first := use(t, home), use(t, home)
	done := make(chan struct{})
	go func() { closeStack(t, owner); close(done) }()
	second := use(t, home)
	if second.Owned() {
		t.Error("a second stack runs beside the first")
	}
	closeStack(t, first)
	checkAlive(t, second.Addresses)
	select {
	case <-done:
		t.Error("the owner left before its last member")
	default:
	}
	closeStack(t, second)
	<-done
}

func TestKilledOwner(t *testing.T) {
	home := t.TempDir()
	for range 3 {
		command := exec.CommandContext(t.Context(), os.Args[0])
		command.Env = append(os.Environ(), "STACK_TEST_HOME="+home)
		command.Stderr = os.Stderr
		stdout, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		var url string
		if _, err := fmt.Fscanln(stdout, &url); err != nil {
			t.Fatal(err)
		}
		member, ok, err := stack.Join(t.Context(), home)
		if err != nil || !ok || member.Owned() || member.Jaeger != url || member.PID != command.Process.Pid {
			t.Fatalf("Join: %v, %v, %v; want the process at %s", member, ok, err, url)
		}
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		command.Wait()
		if _, ok, err := stack.Join(t.Context(), home); ok || err != nil {
			t.Errorf("Join after the kill: %v, %v", ok, err)
		}
		closeStack(t, member)
	}
	s := use(t, home)
	checkAlive(t, s.Addresses)
	closeStack(t, s)
}

func TestTakenPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:16686")
	if err == nil {
		defer ln.Close()
	} // else another program has it, which is as good
	_, err = stack.Start(t.Context(), stack.Options{Home: t.TempDir()})
	if _, ok := errors.AsType[*stack.PortError](err); !ok {
		t.Fatalf("Start on a taken port: %v, want a PortError", err)
	}
	t.Log(err)
}

func TestAnswersLocalhostOnly(t *testing.T) {
	s := use(t, t.TempDir())
	defer closeStack(t, s)
	for host, want := range map[string]int{
		"localhost:16686": http.StatusOK,
		"127.0.0.1":       http.StatusOK,
		"[::1]:16686":     http.StatusOK,
		"evil.example":    http.StatusForbidden,
		"192.0.2.1:16686": http.StatusForbidden,
	} {
		request, err := http.NewRequestWithContext(t.Context(), "GET", s.Jaeger+"/api/services", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("Host %s: %s, want %d", host, response.Status, want)
		}
	}
}
