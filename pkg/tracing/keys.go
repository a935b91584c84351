package tracing

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The spans of one event's way through the pipeline.
const (
	SpanProduce  = "kafka.produce"  // PRODUCER: from encoding to the broker's acknowledgement
	SpanConsume  = "kafka.consume"  // CONSUMER, child of the above: from fetching until its batch is stored
	SpanClassify = "classification" // child of kafka.consume
	SpanStore    = "storage.write"  // child of kafka.consume
)

// Attribute keys of the OpenTelemetry semantic conventions for messaging,
// version 1.43. They are still in development there and will be renamed: this
// is the one file that names them.
const (
	KeyEventID     = semconv.MessagingMessageIDKey
	KeyTopic       = semconv.MessagingDestinationNameKey
	KeyPartition   = semconv.MessagingDestinationPartitionIDKey // a string by convention
	KeyOffset      = semconv.MessagingKafkaOffsetKey
	KeyMessageKey  = semconv.MessagingKafkaMessageKeyKey
	KeyMessageSize = semconv.MessagingMessageBodySizeKey // bytes
	KeyGroup       = semconv.MessagingConsumerGroupNameKey
)

// Send and Process are the attributes that all kafka.produce and all
// kafka.consume spans have.
func Send() []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKafka, semconv.MessagingOperationTypeSend, semconv.MessagingOperationName("send"),
	}
}

// Process: see [Send].
func Process() []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKafka, semconv.MessagingOperationTypeProcess, semconv.MessagingOperationName("process"),
	}
}
