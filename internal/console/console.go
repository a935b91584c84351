// Package console serves read-only pages about a Kafka cluster's topics and
// messages, at the paths of Redpanda Console.
package console

import "net/http"

// New returns the pages about the cluster that brokers, host:port, lead to.
func New(brokers []string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"status":"ok"}` + "\n"))
	})
	return mux
}
