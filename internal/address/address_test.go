package address_test

import (
	"slices"
	"testing"

	"soclab/internal/address"
)

func TestBrokers(t *testing.T) {
	for name, test := range map[string]struct {
		given    []string
		variable string
		want     []string
		named    bool
	}{
		"nobody names any":       {nil, "", []string{"localhost:9092"}, false},
		"nothing but separators": {[]string{" "}, " , ,", []string{"localhost:9092"}, false},
		"the environment":        {nil, "kafka:19092", []string{"kafka:19092"}, true},
		"spaces and doubles":     {nil, "a:1, a:1", []string{"a:1"}, true},
		"order, empty elements":  {nil, ",b:2,, a:1 ,", []string{"b:2", "a:1"}, true},
		"those given count":      {[]string{"c:3"}, "a:1", []string{"c:3"}, true},
		"given are alike":        {[]string{"c:3", " d:4", "c:3,d:4"}, "a:1", []string{"c:3", "d:4"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KAFKA_BROKERS", test.variable)
			if got, named := address.Brokers(test.given...); !slices.Equal(got, test.want) || named != test.named {
				t.Errorf("%q, %t, want %q, %t", got, named, test.want, test.named)
			}
		})
	}
}

func TestURL(t *testing.T) {
	for name, test := range map[string]struct{ given, variable, public, jaeger, pages string }{
		"nobody names any":    {"", "", "", "http://localhost:16686", "http://localhost:16686"},
		"the environment":     {"", " http://jaeger:16686/ ", "", "http://jaeger:16686", "http://jaeger:16686"},
		"another for readers": {"", "http://jaeger:16686", "http://lab.example/jaeger/", "http://jaeger:16686", "http://lab.example/jaeger"},
		"without a scheme":    {"", "jaeger:16686", "", "http://jaeger:16686", "http://jaeger:16686"},
		"one given":           {"http://given:1/", "http://jaeger:16686", "", "http://given:1", "http://jaeger:16686"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("JAEGER_URL", test.variable)
			t.Setenv("JAEGER_PUBLIC_URL", test.public)
			if got := address.Jaeger.URL(test.given); got != test.jaeger {
				t.Errorf("URL: %s, want %s", got, test.jaeger)
			}
			if got := address.JaegerPages(); got != test.pages {
				t.Errorf("JaegerPages: %s, want %s", got, test.pages)
			}
		})
	}
}
