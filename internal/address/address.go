// Package address knows where the parts of the lab are reached: where a variable
// of the environment says, else at the usual port of this host.
package address

import (
	"cmp"
	"os"
	"slices"
	"strings"
)

// Service is a part of the lab that is reached over the network.
type Service struct {
	Variable string // of the environment, which says where it is
	Port     string // on this host, where the variable says nothing
}

// The parts of the lab. That of OTLP is one of OpenTelemetry's standard
// variables.
var (
	Kafka   = Service{"KAFKA_BROKERS", "9092"}
	OTLP    = Service{"OTEL_EXPORTER_OTLP_ENDPOINT", "4318"}
	Jaeger  = Service{"JAEGER_URL", "16686"}
	Console = Service{"CONSOLE_URL", "8080"}
)

// URL is the base URL of a part that speaks HTTP, without a slash at its end:
// the one given, else that of the environment, else that of this host.
func (s Service) URL(given string) string {
	return cmp.Or(base(given), base(os.Getenv(s.Variable)), "http://localhost:"+s.Port)
}

// base is a URL without slashes at its end, with http:// where it has no scheme.
func base(url string) string {
	url = strings.TrimRight(strings.TrimSpace(url), "/")
	if url != "" && !strings.Contains(url, "://") {
		url = "http://" + url
	}
	return url
}

// JaegerPages is the base URL of Jaeger for the reader's browser:
// JAEGER_PUBLIC_URL where it is another than that by which programs reach it.
func JaegerPages() string { return Jaeger.URL(os.Getenv("JAEGER_PUBLIC_URL")) }

// Brokers are Kafka's bootstrap addresses, host:port, each once: those given,
// else those of the environment, both separated by commas, else that of this
// host, which nobody named.
func Brokers(given ...string) (brokers []string, named bool) {
	for _, list := range []string{strings.Join(given, ","), os.Getenv(Kafka.Variable)} {
		for broker := range strings.SplitSeq(list, ",") {
			broker = strings.TrimSpace(broker)
			if broker != "" && !slices.Contains(brokers, broker) {
				brokers = append(brokers, broker)
			}
		}
		if len(brokers) > 0 {
			return brokers, true
		}
	}
	return []string{"localhost:" + Kafka.Port}, false
}
