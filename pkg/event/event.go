// Package event defines the one thing that flows through the pipeline: a
// network event with flat ECS field names, its strict JSON and CSV forms, and
// the batches and verdicts that the stages hand to each other.
package event

import (
	"math"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
)

// MaxRecord is the size in bytes above which a JSON record is refused.
const MaxRecord = 64 << 10

// Event is one network or login event. Field names follow the Elastic Common
// Schema (ECS); [Fields] maps them to this struct. Timestamp and ID are
// required, all else may be absent: an empty string, an invalid address and an
// Int that is not Known mean "not observed", never zero or failure.
type Event struct {
	Timestamp time.Time // UTC, 1970 to 2100
	ID        string    // unique; Zeek's uid where the event comes from Zeek

	Dataset  string // where it was observed, such as "zeek.conn"
	Category string // ECS category: network, authentication, web, ...
	Action   string
	Outcome  string // success, failure, or absent where it is not known
	Duration Int    // nanoseconds

	Source, Destination Endpoint

	Transport string // tcp, udp, icmp
	Protocol  string // application protocol: dns, http, ssh, ...
	User      string
	DNS       DNS
	URL       URL
	HTTP      HTTP
	UserAgent string
	ConnState string // Zeek's conn_state, such as SF, S0, REJ
}

// Endpoint is one side of a connection.
type Endpoint struct {
	IP      netip.Addr // without zone; an IPv4-mapped address is kept as IPv4
	Port    Int        // 0 to 65535
	Bytes   Int        // payload sent by this side
	Packets Int        // packets sent by this side
}

// DNS is a question and its answer.
type DNS struct {
	Question     string // the name asked for, without the trailing dot
	Type         string // A, AAAA, TXT, ...
	ResponseCode string // NOERROR, NXDOMAIN, ...
	Answers      string // the answers' data, separated by commas
}

// URL is what a web request asked for.
type URL struct {
	Domain string
	Path   string
	Query  string // without the question mark
}

// HTTP is a web request's method and the status of its response.
type HTTP struct {
	Method string
	Status Int // 100 to 999
}

// Int is a whole number, or absent. Its zero value is absent.
type Int struct {
	Value int64
	Known bool
}

// Known returns an Int that is present.
func Known(value int64) Int { return Int{Value: value, Known: true} }

// String is the number in decimal, or nothing where it is absent.
func (n Int) String() string {
	if !n.Known {
		return ""
	}
	return strconv.FormatInt(n.Value, 10)
}

// fields are the columns of a file of events, in their order, and the keys of its
// JSON. A field is added as a member of Event and a row at the end; the rest
// follows.
var fields = [...]definition{
	{name: "@timestamp", kind: KindTime},
	text("event.id", func(e *Event) *string { return &e.ID }),
	text("event.dataset", func(e *Event) *string { return &e.Dataset }),
	text("event.category", func(e *Event) *string { return &e.Category }),
	text("event.action", func(e *Event) *string { return &e.Action }),
	text("event.outcome", func(e *Event) *string { return &e.Outcome }),
	integer("event.duration", 0, math.MaxInt64, func(e *Event) *Int { return &e.Duration }),
	address("source.ip", func(e *Event) *netip.Addr { return &e.Source.IP }),
	integer("source.port", 0, math.MaxUint16, func(e *Event) *Int { return &e.Source.Port }),
	integer("source.bytes", 0, math.MaxInt64, func(e *Event) *Int { return &e.Source.Bytes }),
	integer("source.packets", 0, math.MaxInt64, func(e *Event) *Int { return &e.Source.Packets }),
	address("destination.ip", func(e *Event) *netip.Addr { return &e.Destination.IP }),
	integer("destination.port", 0, math.MaxUint16, func(e *Event) *Int { return &e.Destination.Port }),
	integer("destination.bytes", 0, math.MaxInt64, func(e *Event) *Int { return &e.Destination.Bytes }),
	integer("destination.packets", 0, math.MaxInt64, func(e *Event) *Int { return &e.Destination.Packets }),
	text("network.transport", func(e *Event) *string { return &e.Transport }),
	text("network.protocol", func(e *Event) *string { return &e.Protocol }),
	text("user.name", func(e *Event) *string { return &e.User }),
	text("dns.question.name", func(e *Event) *string { return &e.DNS.Question }),
	text("dns.question.type", func(e *Event) *string { return &e.DNS.Type }),
	text("dns.response_code", func(e *Event) *string { return &e.DNS.ResponseCode }),
	text("dns.answers", func(e *Event) *string { return &e.DNS.Answers }),
	text("url.domain", func(e *Event) *string { return &e.URL.Domain }),
	text("url.path", func(e *Event) *string { return &e.URL.Path }),
	text("url.query", func(e *Event) *string { return &e.URL.Query }),
	text("http.request.method", func(e *Event) *string { return &e.HTTP.Method }),
	integer("http.response.status_code", 100, 999, func(e *Event) *Int { return &e.HTTP.Status }),
	text("user_agent.original", func(e *Event) *string { return &e.UserAgent }),
	text("zeek.connection.state", func(e *Event) *string { return &e.ConnState }),
}

// FieldCount is the number of fields.
const FieldCount = Field(len(fields))

// The fields that every event has. The others are found by [MustField].
const (
	FieldTimestamp Field = iota
	FieldID
)

// Validate reports the first field that breaks a rule of the package: a
// missing timestamp or id, a number or time out of range, an address with a
// zone, text that is not UTF-8. What the decoders accept is valid; events made
// in code should be checked before they are sent.
func (e *Event) Validate() error {
	if e.Timestamp.IsZero() {
		return fieldError(FieldTimestamp.Name(), "", "an RFC 3339 time")
	}
	if err := checkTime(e.Timestamp); err != nil {
		return err
	}
	if e.ID == "" {
		return fieldError(FieldID.Name(), "", "a unique id")
	}
	for f := range FieldCount {
		switch d := &fields[f]; d.kind {
		case KindText:
			if s := *d.text(e); !utf8.ValidString(s) {
				return fieldError(d.name, s, "valid UTF-8")
			}
		case KindInteger:
			if n := *d.integer(e); n.Known && (n.Value < d.min || n.Value > d.max) {
				return d.rangeError(n.String())
			}
		case KindAddress:
			if a := *d.address(e); a.Zone() != "" {
				return fieldError(d.name, a.String(), wantAddress)
			}
		}
	}
	return nil
}
