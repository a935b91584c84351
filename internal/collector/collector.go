// Package collector is the trace backend of the local stack: it takes spans by
// OTLP over HTTP, keeps them on disk within bounds, and answers the part of
// Jaeger's query API, and of Jaeger's web pages, that the lab uses.
package collector

import (
	"fmt"
	"net/http"
)

// Limits bound what is kept; what is oldest goes first. Zero values mean the
// defaults.
type Limits struct {
	Traces int   // number of traces, 100,000 by default; about 200 bytes of memory each
	Bytes  int64 // size on disk in bytes, 256 MiB by default
}

// Collector receives, keeps and serves traces.
type Collector struct {
	store *store
	slots chan struct{} // bounds the export requests that are held in memory at once
}

// Open loads the traces kept under dir, which is created if needed. Only one
// Collector may use it at a time, which the caller sees to.
func Open(dir string, limits Limits) (*Collector, error) {
	if limits.Traces <= 0 {
		limits.Traces = 100_000
	}
	if limits.Bytes <= 0 {
		limits.Bytes = 256 << 20
	}
	store, err := openStore(dir, limits)
	if err != nil {
		return nil, fmt.Errorf("open traces in %s: %w", dir, err)
	}
	return &Collector{store: store, slots: make(chan struct{}, 8)}, nil
}

// Close ends the use of the folder. Requests that come later fail.
func (c *Collector) Close() error { return c.store.close() }

// OTLP serves the OTLP/HTTP receiver, POST /v1/traces.
func (c *Collector) OTLP() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", c.export)
	return mux
}
