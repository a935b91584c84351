// Package spans names the spans of one event's way through the pipeline, and
// their attributes. It is apart from tracing so that whoever records or reads a
// span needs no exporter.
package spans

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The spans of one event's way through the pipeline.
const (
	Produce  = "kafka.produce"  // PRODUCER: from encoding to the broker's acknowledgement
	Consume  = "kafka.consume"  // CONSUMER, child of the above: from fetching until its batch is stored
	Classify = "classification" // child of kafka.consume
	Store    = "storage.write"  // child of kafka.consume
)

// Attribute keys of the OpenTelemetry semantic conventions for messaging,
// version 1.43. They are still in development there and will be renamed: this
// is the one file that names them.
const (
	EventID     = semconv.MessagingMessageIDKey
	Topic       = semconv.MessagingDestinationNameKey
	Partition   = semconv.MessagingDestinationPartitionIDKey // a string by convention
	Offset      = semconv.MessagingKafkaOffsetKey
	MessageKey  = semconv.MessagingKafkaMessageKeyKey
	MessageSize = semconv.MessagingMessageBodySizeKey // bytes
	Group       = semconv.MessagingConsumerGroupNameKey
	BatchSize   = semconv.MessagingBatchMessageCountKey
)

// Send are the attributes that all kafka.produce spans have.
func Send() []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKafka, semconv.MessagingOperationTypeSend, semconv.MessagingOperationName("send"),
	}
}

// Process are the attributes that all kafka.consume spans have.
func Process() []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKafka, semconv.MessagingOperationTypeProcess, semconv.MessagingOperationName("process"),
	}
}
