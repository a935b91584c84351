package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"
)

func TestDoctorOfARunningStack(t *testing.T) {
	b := newBench(t)
	b.stack()
	b.soclab("run", "--events", "200")
	var findings []finding
	if err := json.Unmarshal([]byte(b.soclab("doctor", "--json")), &findings); err != nil {
		t.Fatal(err)
	}
	states := map[string]state{}
	for _, f := range findings {
		states[f.Check] = f.State
		if (f.State == fine) != (f.Remedy == "") {
			t.Errorf("%s is %s, with the remedy %q", f.Check, f.State, f.Remedy)
		}
	}
	for _, check := range []string{"Go", "Data", "Kafka", "Topics", "Traces in", "Jaeger", "Console"} {
		if states[check] != fine {
			t.Errorf("%s is %q: %+v", check, states[check], findings)
		}
	}
}

func TestDoctorFailsWhereBrokersWereNamed(t *testing.T) {
	b := newBench(t)
	address := free(t)
	b.refused(1, "nothing answers at "+address, "doctor", "--brokers", address)
}

// free is an address where nobody listens.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestDoctorNamesTheRemedy(t *testing.T) {
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	address := strings.TrimPrefix(stranger.URL, "http://")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, test := range []struct {
		name   string
		got    finding
		state  state
		found  string
		remedy string
	}{
		{"not started", first((&doctor{brokers: []string{free(t)}}).kafka(ctx)), remark, "nothing runs there", "soclab up"},
		{"another program at Kafka's port", first((&doctor{brokers: []string{address}}).kafka(ctx)), problem, "does not answer as Kafka", "stop that one"},
		{"another program at Jaeger's port", (&doctor{}).service(ctx, "Jaeger", stranger.URL+"/api/services", "", get), problem, "404", "--free-ports"},
		{"advertised where only containers see it",
			first(advertised(ctx, finding{}, []string{"localhost:9092"}, []kafka.Broker{{Host: "kafka.invalid", Port: 19092}})),
			problem, "on to kafka.invalid:19092", "localhost:9092 from the host"},
		{"no folder to write to", (&doctor{data: file, home: t.TempDir()}).writable(), problem, file, "chown"},
		{"no kernel", (&doctor{home: t.TempDir()}).kernel(), remark, "not installed", "soclab up"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.got.State != test.state || !strings.Contains(test.got.Found, test.found) || !strings.Contains(test.got.Remedy, test.remedy) {
				t.Errorf("%+v\nwant %s, %q, %q", test.got, test.state, test.found, test.remedy)
			}
		})
	}
}

func first(f finding, _ bool) finding { return f }
