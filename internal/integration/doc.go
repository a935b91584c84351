// Package integration has no code of its own. Its tests check compose.yml as
// Docker Compose reads it and, with the build tag integration, whole stacks:
// whatever KAFKA_BROKERS, OTEL_EXPORTER_OTLP_ENDPOINT and JAEGER_URL name.
package integration
