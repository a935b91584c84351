package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/spf13/cobra"

	"soclab/internal/address"
	"soclab/internal/folder"
	"soclab/internal/jupyter"
	"soclab/internal/stack"
	"soclab/pkg/stream"
)

func newDoctorCommand(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check what the lab needs and say what to do where it is missing",
		Long: `Looks at what people trip over: Go, Python, Docker and memory, the ports, the
notebooks' kernel, and whether Kafka, Jaeger, Console and JupyterLab answer, at the
addresses that KAFKA_BROKERS, OTEL_EXPORTER_OTLP_ENDPOINT, JAEGER_URL and
CONSOLE_URL name, else those of the running stack, else the usual ones on this
host. It changes nothing. It fails where something stands in the way; what is only
not started, or needed for one of the ways only, is a remark.`,
		Example: `  soclab doctor
  soclab doctor --json
  docker compose exec jupyter soclab doctor`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := s.newDoctor(cmd.Context())
			if err != nil {
				return err
			}
			findings := d.examine(cmd.Context())
			if s.json {
				err = writeJSON(cmd.OutOrStdout(), findings)
			} else {
				err = writeFindings(cmd.OutOrStdout(), findings)
			}
			if err != nil {
				return err
			}
			if n := problems(findings); n > 0 {
				return fmt.Errorf("%d of %d checks found a problem", n, len(findings))
			}
			return nil
		},
	}
}

// finding is what a check saw, and what to do about it.
type finding struct {
	Check  string `json:"check"`
	State  state  `json:"state"`
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"`
}

type state string

const (
	fine    state = "ok"
	remark  state = "remark"  // in nobody's way, or only in that of one way to run the lab
	problem state = "problem" // the lab does not work so
)

func problems(findings []finding) (n int) {
	for _, f := range findings {
		if f.State == problem {
			n++
		}
	}
	return n
}

func writeFindings(w io.Writer, findings []finding) error {
	marks := map[state]string{fine: "✓", remark: "·", problem: "✗"}
	var b bytes.Buffer
	for _, f := range findings {
		fmt.Fprintf(&b, "%s %-11s %s\n", marks[f.State], f.Check, f.Found)
		if f.Remedy != "" {
			fmt.Fprintf(&b, "  %-11s → %s\n", "", f.Remedy)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// doctor knows where the lab should be.
type doctor struct {
	home, data string
	given      bool // the user named the brokers: they must answer
	brokers    []string
	otlp       string // base URLs
	jaeger     string
	console    string
}

func (s *shared) newDoctor(ctx context.Context) (*doctor, error) {
	d := &doctor{otlp: address.OTLP.URL(""), jaeger: address.Jaeger.URL(""), console: address.Console.URL("")}
	d.brokers, d.given = address.Brokers(s.brokers...)
	var err error
	if d.home, err = folder.Home(); err != nil {
		return nil, err
	}
	if d.data, err = s.dataFolder(); err != nil {
		return nil, err
	}
	if d.given {
		return d, nil
	}
	running, found, err := stack.Join(ctx, d.home)
	if err != nil || !found {
		return d, err
	}
	d.given = true
	d.brokers, d.otlp, d.jaeger, d.console = running.Brokers, running.OTLP, running.Jaeger, running.Console
	return d, running.Close(ctx)
}

// examine runs all checks, those of the machine first.
func (d *doctor) examine(ctx context.Context) []finding {
	findings := []finding{d.golang(ctx), d.python(ctx), d.docker(ctx), d.memory(ctx), d.writable(), d.kernel()}
	kafka, answers := d.kafka(ctx)
	findings = append(findings, kafka)
	if answers {
		findings = append(findings, d.topics(ctx))
	}
	findings = append(findings,
		d.service(ctx, "Traces in", d.otlp, "takes spans over OTLP/HTTP", postNoSpans),
		d.service(ctx, "Jaeger", d.jaeger+"/api/services", "answers queries", get))
	console := d.service(ctx, "Console", d.console+"/admin/health", "answers", get)
	if console.State == problem {
		console.State = remark // only browsers look at it, perhaps from where it can be seen
	}
	return append(findings, console, d.jupyterLab(ctx))
}

// output runs a program and returns what it printed, without space around it.
func output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		err = errors.New(strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}

func (d *doctor) golang(ctx context.Context) finding {
	f := finding{Check: "Go", State: fine}
	version, err := output(ctx, "go", "env", "GOVERSION")
	if err != nil {
		f.State, f.Found, f.Remedy = remark, "no go on the PATH", "cells are built with it: install it from https://go.dev/dl, or use the lab in Docker"
		return f
	}
	f.Found = strings.TrimPrefix(version, "go")
	return f
}

func (d *doctor) python(ctx context.Context) finding {
	f := finding{Check: "Python", State: fine}
	program, uv, err := jupyter.Python(ctx)
	if err == nil {
		f.Found, err = output(ctx, program, "--version")
	}
	if err != nil {
		f.State, f.Found = remark, err.Error()
		f.Remedy = "only soclab up needs it, or uv (https://docs.astral.sh/uv); the lab in Docker needs neither"
	} else if uv {
		f.Found += ", which brings a Python of its own"
	}
	return f
}

// The oldest versions that compose.yml was run with.
const (
	oldestDocker  = 20
	oldestCompose = 2
)

func (d *doctor) docker(ctx context.Context) finding {
	f := finding{Check: "Docker", State: fine}
	if _, err := exec.LookPath("docker"); err != nil {
		f.State, f.Found, f.Remedy = remark, "not installed", "only docker compose up needs it; soclab up and soclab run do not"
		return f
	}
	server, err := output(ctx, "docker", "version", "--format", "{{.Server.Version}}")
	if err != nil {
		f.State, f.Found = remark, "installed, but its engine does not answer"
		f.Remedy = "start Docker Desktop, or: sudo systemctl start docker; where permission is denied: sudo usermod -aG docker $USER, then log in again"
		return f
	}
	compose, err := output(ctx, "docker", "compose", "version", "--short")
	if err != nil {
		f.State, f.Found, f.Remedy = remark, server+" without the compose plugin", "install it: https://docs.docker.com/compose/install"
		return f
	}
	f.Found = "engine " + server + ", compose " + compose
	if major(server) < oldestDocker || major(compose) < oldestCompose {
		f.State, f.Remedy = remark, fmt.Sprintf("update Docker: compose.yml wants engine %d and compose %d or newer", oldestDocker, oldestCompose)
	}
	return f
}

func major(version string) int {
	first, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	n, _ := strconv.Atoi(first)
	return n
}

// enoughMemory is what the compose stack's limits add up to, without workers.
const enoughMemory = 3 << 30

// memory looks at Docker's share where there is one: a Docker Desktop has a
// virtual machine with less than the host has.
func (d *doctor) memory(ctx context.Context) finding {
	f := finding{Check: "Memory", State: fine}
	size, where := dockerMemory(ctx), "for Docker"
	if size == 0 {
		size, where = hostMemory(ctx), "on this host"
	}
	f.Found = fmt.Sprintf("%.1f GB %s", float64(size)/(1<<30), where)
	if size < enoughMemory {
		f.State = remark
		f.Remedy = "the compose stack wants 4 GB (Docker Desktop: Settings, Resources); soclab up needs 1 GB"
	}
	return f
}

// dockerMemory is in bytes, 0 where there is no Docker.
func dockerMemory(ctx context.Context) (size int64) {
	out, _ := output(ctx, "docker", "info", "--format", "{{.MemTotal}}")
	size, _ = strconv.ParseInt(out, 10, 64)
	return size
}

// hostMemory is in bytes, 0 where that cannot be told.
func hostMemory(ctx context.Context) (size int64) {
	if runtime.GOOS == "darwin" {
		out, _ := output(ctx, "sysctl", "-n", "hw.memsize")
		size, _ = strconv.ParseInt(out, 10, 64)
		return size
	}
	info, _ := os.ReadFile("/proc/meminfo")
	_, _ = fmt.Sscanf(string(info), "MemTotal: %d kB", &size)
	return size << 10
}

func (d *doctor) writable() finding {
	f := finding{Check: "Data", State: fine, Found: d.data}
	for _, dir := range []string{d.data, d.home} {
		probe, err := os.CreateTemp(dir, ".doctor-*")
		if err != nil {
			f.State, f.Found = problem, err.Error()
			f.Remedy = "make the folder yours: sudo chown -R $(id -u):$(id -g) " + dir + "; with Docker, set SOCLAB_UID and SOCLAB_GID in .env"
			return f
		}
		probe.Close()
		os.Remove(probe.Name())
	}
	return f
}

func (d *doctor) kernel() finding {
	f := finding{Check: "Kernel", State: fine}
	bin, ok := jupyter.Installed(d.home)
	if !ok {
		f.State, f.Found, f.Remedy = remark, "the notebooks' Go kernel is not installed in "+d.home, "soclab up does that, once (soclab up --install-only)"
		return f
	}
	f.Found = "GoNB with gopls and goimports in " + bin
	return f
}

// kafka goes the way of every client: to a given address, and on to those that
// the brokers there advertise.
func (d *doctor) kafka(ctx context.Context) (f finding, answers bool) {
	f.Check = "Kafka"
	for _, address := range d.brokers {
		if err := dial(ctx, address); err != nil {
			return d.absent(f, address, err), false
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	transport := &kafka.Transport{ClientID: "soclab doctor", DialTimeout: 3 * time.Second}
	defer transport.CloseIdleConnections()
	client := kafka.Client{Addr: kafka.TCP(d.brokers...), Transport: transport}
	cluster, err := client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		f.State = problem
		f.Found = fmt.Sprintf("%s listens, but does not answer as Kafka does: %v", strings.Join(d.brokers, ","), err)
		f.Remedy = "wait while it starts (docker compose ps); else another program has the port: stop that one"
		return f, false
	}
	return advertised(ctx, f, d.brokers, cluster.Brokers)
}

// advertised looks whether the brokers can be reached where they say they are.
func advertised(ctx context.Context, f finding, given []string, brokers []kafka.Broker) (finding, bool) {
	var there []string
	for _, b := range brokers {
		address := net.JoinHostPort(b.Host, strconv.Itoa(b.Port))
		if err := dial(ctx, address); err != nil {
			f.State = problem
			f.Found = fmt.Sprintf("%s answers, but sends its clients on to %s, which is out of reach from here: %v", strings.Join(given, ","), address, err)
			f.Remedy = "come in by the listener that is meant for you: localhost:9092 from the host, kafka:19092 from the stack's containers"
			return f, false
		}
		there = append(there, address)
	}
	f.State, f.Found = fine, "answers and can be reached as advertised, "+strings.Join(there, ", ")
	return f, true
}

func dial(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// absent tells of an address where nobody listens: no fault where the lab has
// just not been started.
func (d *doctor) absent(f finding, address string, err error) finding {
	f.State, f.Found, f.Remedy = remark, address+" is free, nothing runs there", "start the lab: soclab up, or docker compose up -d"
	if d.given || !errors.Is(err, syscall.ECONNREFUSED) {
		f.State, f.Found = problem, fmt.Sprintf("nothing answers at %s: %v", address, err)
	}
	return f
}

func (d *doctor) topics(ctx context.Context) finding {
	f := finding{Check: "Topics", State: fine}
	positions, err := stream.Cluster{Brokers: d.brokers}.Positions(ctx, stream.Group)
	if err != nil {
		f.State, f.Found, f.Remedy = problem, err.Error(), "see what Kafka says: docker compose logs kafka"
		return f
	}
	partitions, records := map[string]int{}, map[string]int64{}
	var lag int64
	for _, p := range positions {
		partitions[p.Topic]++
		records[p.Topic] += p.End - p.First
		if p.Topic == stream.Raw {
			lag += p.Lag()
		}
	}
	var found, missing []string
	for _, topic := range []string{stream.Raw, stream.Classified, stream.DeadLetter} {
		if partitions[topic] == 0 {
			missing = append(missing, topic)
			continue
		}
		found = append(found, fmt.Sprintf("%s %d in %d partitions", topic, records[topic], partitions[topic]))
	}
	if len(missing) > 0 {
		f.State, f.Found, f.Remedy = remark, "missing: "+strings.Join(missing, ", "), "whoever uses them first makes them: soclab produce, or Producer.ipynb"
		return f
	}
	f.Found = fmt.Sprintf("%s; %d wait for the classifier", strings.Join(found, ", "), lag)
	return f
}

// service asks an HTTP service whether it works.
func (d *doctor) service(ctx context.Context, name, address, good string, ask func(context.Context, string) error) finding {
	f := finding{Check: name, State: fine}
	parsed, err := url.Parse(address)
	if err != nil {
		f.State, f.Found, f.Remedy = problem, err.Error(), "set the variable that names it to a base URL, such as http://localhost:16686"
		return f
	}
	host := parsed.Host
	if parsed.Port() == "" {
		host = net.JoinHostPort(parsed.Hostname(), map[string]string{"http": "80", "https": "443"}[parsed.Scheme])
	}
	if err := dial(ctx, host); err != nil {
		return d.absent(f, host, err)
	}
	if err := ask(ctx, address); err != nil {
		f.State, f.Found = problem, fmt.Sprintf("%s listens, but is not what belongs there: %v", host, err)
		f.Remedy = "another program has the port: stop that one, or run soclab up --free-ports"
		return f
	}
	f.Found = parsed.Scheme + "://" + parsed.Host + " " + good
	return f
}

// get tells whether a page answers with success.
func get(ctx context.Context, address string) error {
	return ask(ctx, http.MethodGet, address, "")
}

// postNoSpans sends an empty export request, which a receiver of OTLP accepts.
func postNoSpans(ctx context.Context, base string) error {
	return ask(ctx, http.MethodPost, base+"/v1/traces", "application/x-protobuf")
}

func ask(ctx context.Context, method, address, contentType string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", request.URL.Host+request.URL.Path, response.Status)
	}
	return nil
}

func (d *doctor) jupyterLab(ctx context.Context) finding {
	f := finding{Check: "JupyterLab", State: fine}
	address, err := jupyter.Running(ctx, d.home)
	port := strconv.Itoa(jupyter.Port)
	switch {
	case err == nil:
		f.Found = address
	case !errors.Is(err, jupyter.ErrNotRunning):
		f.State, f.Found = problem, err.Error()
	case dial(ctx, net.JoinHostPort("127.0.0.1", port)) == nil:
		f.State, f.Found = remark, "port "+port+" is taken, by the compose stack's JupyterLab or by another program"
		f.Remedy = "docker compose exec jupyter soclab url prints its address; soclab up takes another port with --port"
	default:
		f.State, f.Found, f.Remedy = remark, "not running", "start it: soclab up, or docker compose up -d"
	}
	return f
}
