package sensor

import (
	"slices"

	"soclab/pkg/event"
)

// zeekConn is Zeek's log of connections (base/protocols/conn/main.zeek, record
// Conn::Info). For ICMP, Zeek keeps type and code as the ports, and so do the
// events.
var zeekConn = zeekLog{
	path:     "conn",
	dataset:  "zeek.conn",
	category: "network",
	action:   "connection",
	marks:    []string{"conn_state", "orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts", "missed_bytes"},
	fields: slices.Concat(zeekConnection, []zeekField{
		{name: "proto", to: event.FieldTransport},
		{name: "service", to: event.FieldProtocol, list: true},
		{name: "duration", to: event.FieldDuration},
		{name: "orig_bytes", to: event.FieldSourceBytes},
		{name: "resp_bytes", to: event.FieldDestinationBytes},
		{name: "conn_state", to: event.FieldConnState},
		{name: "orig_pkts", to: event.FieldSourcePackets},
		{name: "resp_pkts", to: event.FieldDestinationPackets},
	}),
}
