// Package integration has no code of its own. Its tests check compose.yml as
// Docker Compose reads it and, with the build tag integration, whole stacks:
// whatever KAFKA_BROKERS, OTEL_EXPORTER_OTLP_ENDPOINT and JAEGER_URL name.
//
// It is a module of its own, as is what lies below it, so that the modules which
// only its tests need are none of the lab's:
//
//	go test -C internal/integration ./...
package integration
