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
		{name: "proto", to: event.MustField("network.transport")},
		{name: "service", to: event.MustField("network.protocol"), list: true},
		{name: "duration", to: event.MustField("event.duration")},
		{name: "orig_bytes", to: event.MustField("source.bytes")},
		{name: "resp_bytes", to: event.MustField("destination.bytes")},
		{name: "conn_state", to: event.MustField("zeek.connection.state")},
		{name: "orig_pkts", to: event.MustField("source.packets")},
		{name: "resp_pkts", to: event.MustField("destination.packets")},
	}),
}
