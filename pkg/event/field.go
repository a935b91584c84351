package event

import (
	"fmt"
	"math"
	"net/netip"
	"time"
)

// Field names one field of an Event. Fields are ordered as in the CSV files.
type Field uint8

// The fields of an event, by their ECS names.
const (
	FieldTimestamp          Field = iota // @timestamp
	FieldID                              // event.id
	FieldDataset                         // event.dataset
	FieldCategory                        // event.category
	FieldAction                          // event.action
	FieldOutcome                         // event.outcome
	FieldDuration                        // event.duration
	FieldSourceIP                        // source.ip
	FieldSourcePort                      // source.port
	FieldSourceBytes                     // source.bytes
	FieldSourcePackets                   // source.packets
	FieldDestinationIP                   // destination.ip
	FieldDestinationPort                 // destination.port
	FieldDestinationBytes                // destination.bytes
	FieldDestinationPackets              // destination.packets
	FieldTransport                       // network.transport
	FieldProtocol                        // network.protocol
	FieldUser                            // user.name
	FieldDNSQuestion                     // dns.question.name
	FieldDNSType                         // dns.question.type
	FieldDNSResponseCode                 // dns.response_code
	FieldDNSAnswers                      // dns.answers
	FieldURLDomain                       // url.domain
	FieldURLPath                         // url.path
	FieldURLQuery                        // url.query
	FieldHTTPMethod                      // http.request.method
	FieldHTTPStatus                      // http.response.status_code
	FieldUserAgent                       // user_agent.original
	FieldConnState                       // zeek.connection.state

	FieldCount // how many there are; no field itself
)

// Kind is the type of a field's value.
type Kind uint8

// The kinds of values.
const (
	KindTime Kind = iota
	KindText
	KindInteger
	KindAddress
)

type definition struct {
	name     string
	kind     Kind
	min, max int64 // of a KindInteger
	text     func(*Event) *string
	integer  func(*Event) *Int
	address  func(*Event) *netip.Addr
}

func text(name string, at func(*Event) *string) definition {
	return definition{name: name, kind: KindText, text: at}
}

func integer(name string, low, high int64, at func(*Event) *Int) definition {
	return definition{name: name, kind: KindInteger, min: low, max: high, integer: at}
}

func address(name string, at func(*Event) *netip.Addr) definition {
	return definition{name: name, kind: KindAddress, address: at}
}

var fields = [FieldCount]definition{
	FieldTimestamp:          {name: "@timestamp", kind: KindTime},
	FieldID:                 text("event.id", func(e *Event) *string { return &e.ID }),
	FieldDataset:            text("event.dataset", func(e *Event) *string { return &e.Dataset }),
	FieldCategory:           text("event.category", func(e *Event) *string { return &e.Category }),
	FieldAction:             text("event.action", func(e *Event) *string { return &e.Action }),
	FieldOutcome:            text("event.outcome", func(e *Event) *string { return &e.Outcome }),
	FieldDuration:           integer("event.duration", 0, math.MaxInt64, func(e *Event) *Int { return &e.Duration }),
	FieldSourceIP:           address("source.ip", func(e *Event) *netip.Addr { return &e.Source.IP }),
	FieldSourcePort:         integer("source.port", 0, math.MaxUint16, func(e *Event) *Int { return &e.Source.Port }),
	FieldSourceBytes:        integer("source.bytes", 0, math.MaxInt64, func(e *Event) *Int { return &e.Source.Bytes }),
	FieldSourcePackets:      integer("source.packets", 0, math.MaxInt64, func(e *Event) *Int { return &e.Source.Packets }),
	FieldDestinationIP:      address("destination.ip", func(e *Event) *netip.Addr { return &e.Destination.IP }),
	FieldDestinationPort:    integer("destination.port", 0, math.MaxUint16, func(e *Event) *Int { return &e.Destination.Port }),
	FieldDestinationBytes:   integer("destination.bytes", 0, math.MaxInt64, func(e *Event) *Int { return &e.Destination.Bytes }),
	FieldDestinationPackets: integer("destination.packets", 0, math.MaxInt64, func(e *Event) *Int { return &e.Destination.Packets }),
	FieldTransport:          text("network.transport", func(e *Event) *string { return &e.Transport }),
	FieldProtocol:           text("network.protocol", func(e *Event) *string { return &e.Protocol }),
	FieldUser:               text("user.name", func(e *Event) *string { return &e.User }),
	FieldDNSQuestion:        text("dns.question.name", func(e *Event) *string { return &e.DNS.Question }),
	FieldDNSType:            text("dns.question.type", func(e *Event) *string { return &e.DNS.Type }),
	FieldDNSResponseCode:    text("dns.response_code", func(e *Event) *string { return &e.DNS.ResponseCode }),
	FieldDNSAnswers:         text("dns.answers", func(e *Event) *string { return &e.DNS.Answers }),
	FieldURLDomain:          text("url.domain", func(e *Event) *string { return &e.URL.Domain }),
	FieldURLPath:            text("url.path", func(e *Event) *string { return &e.URL.Path }),
	FieldURLQuery:           text("url.query", func(e *Event) *string { return &e.URL.Query }),
	FieldHTTPMethod:         text("http.request.method", func(e *Event) *string { return &e.HTTP.Method }),
	FieldHTTPStatus:         integer("http.response.status_code", 100, 999, func(e *Event) *Int { return &e.HTTP.Status }),
	FieldUserAgent:          text("user_agent.original", func(e *Event) *string { return &e.UserAgent }),
	FieldConnState:          text("zeek.connection.state", func(e *Event) *string { return &e.ConnState }),
}

func (d *definition) rangeError(value string) error {
	return fieldError(d.name, value, fmt.Sprintf("a whole number from %d to %d", d.min, d.max))
}

// Fields lists all fields in the order of the CSV columns.
func Fields() []Field {
	all := make([]Field, FieldCount)
	for i := range all {
		all[i] = Field(i)
	}
	return all
}

// FieldNamed finds a field by its exact ECS name.
func FieldNamed(name string) (Field, bool) {
	f := fieldNamed(name)
	return f, f != FieldCount
}

// Name is the field's ECS name.
func (f Field) Name() string { return fields[f].name }

// Kind is the type of the field's value; it tells which of Text, Int and
// Address may be called.
func (f Field) Kind() Kind { return fields[f].kind }

// Text returns the value of a field of kind KindText, empty where absent.
func (f Field) Text(e *Event) string { return *fields[f].text(e) }

// Int returns the value of a field of kind KindInteger.
func (f Field) Int(e *Event) Int { return *fields[f].integer(e) }

// Address returns the value of a field of kind KindAddress, invalid where absent.
func (f Field) Address(e *Event) netip.Addr { return *fields[f].address(e) }

// Append appends the field's value as text to dst: nothing where it is absent.
func (f Field) Append(dst []byte, e *Event) []byte {
	switch d := &fields[f]; d.kind {
	case KindTime:
		return appendTime(dst, e.Timestamp)
	case KindText:
		return append(dst, *d.text(e)...)
	case KindInteger:
		return appendInt(dst, *d.integer(e))
	default:
		return appendAddress(dst, *d.address(e))
	}
}

// appendTime writes UTC with as many decimals as needed.
func appendTime(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, time.RFC3339Nano)
}

func appendAddress(dst []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return dst
	}
	return a.AppendTo(dst)
}

// fieldNamed is a switch and not a map: the compiler turns it into a binary
// search over lengths and words, half the cost of hashing for each JSON key.
func fieldNamed(name string) Field {
	switch name {
	case "@timestamp":
		return FieldTimestamp
	case "event.id":
		return FieldID
	case "event.dataset":
		return FieldDataset
	case "event.category":
		return FieldCategory
	case "event.action":
		return FieldAction
	case "event.outcome":
		return FieldOutcome
	case "event.duration":
		return FieldDuration
	case "source.ip":
		return FieldSourceIP
	case "source.port":
		return FieldSourcePort
	case "source.bytes":
		return FieldSourceBytes
	case "source.packets":
		return FieldSourcePackets
	case "destination.ip":
		return FieldDestinationIP
	case "destination.port":
		return FieldDestinationPort
	case "destination.bytes":
		return FieldDestinationBytes
	case "destination.packets":
		return FieldDestinationPackets
	case "network.transport":
		return FieldTransport
	case "network.protocol":
		return FieldProtocol
	case "user.name":
		return FieldUser
	case "dns.question.name":
		return FieldDNSQuestion
	case "dns.question.type":
		return FieldDNSType
	case "dns.response_code":
		return FieldDNSResponseCode
	case "dns.answers":
		return FieldDNSAnswers
	case "url.domain":
		return FieldURLDomain
	case "url.path":
		return FieldURLPath
	case "url.query":
		return FieldURLQuery
	case "http.request.method":
		return FieldHTTPMethod
	case "http.response.status_code":
		return FieldHTTPStatus
	case "user_agent.original":
		return FieldUserAgent
	case "zeek.connection.state":
		return FieldConnState
	}
	return FieldCount
}
