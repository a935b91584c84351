package sigma

import (
	"fmt"
	"slices"
	"strings"

	"soclab/pkg/event"
)

// A field is what a field name in a rule stands for. Most stand for one source;
// some names are used for different things, and match where any of them does.
type field struct {
	name    string // as in the rule
	sources []source
	unit    int64 // what one unit of the rule's numbers is in the event, such as nanoseconds in a second
}

// fieldNamed finds a field by its ECS name or by an alias, in any case.
func fieldNamed(name string) (field, error) {
	lower := strings.ToLower(name)
	if f, ok := event.FieldNamed(lower); ok {
		return field{name: name, sources: []source{source(f)}, unit: 1}, nil
	}
	if a, ok := aliases[lower]; ok {
		a.name = name
		return a, nil
	}
	return field{}, fmt.Errorf("events have no field %q: use an ECS name such as destination.port, "+
		"or Sigma's or Zeek's name for it", name)
}

func (f field) kind() event.Kind { return f.sources[0].kind() }

// present reports whether the event has any of the field's values.
func (f field) present(e *event.Event) bool {
	return slices.ContainsFunc(f.sources, func(s source) bool { return s.present(e) })
}

// aliases maps the field names of Sigma's taxonomy (sections Specific and
// Network category: the W3C names of proxies and web servers, firewalls,
// Sysmon's network events) and of Zeek's logs to an event's fields.
var aliases = func() map[string]field {
	table := make(map[string]field)
	add := func(unit int64, sources []source, names ...string) {
		for _, name := range names {
			table[name] = field{sources: sources, unit: unit}
		}
	}
	is := func(name string, names ...string) { add(1, []source{source(event.MustField(name))}, names...) }

	is("@timestamp", "timestamp", "ts", "utctime")
	is("event.id", "uid")
	is("event.action", "action")
	is("event.outcome", "outcome")
	is("source.ip", "src_ip", "srcip", "src", "sourceip", "source_ip", "id.orig_h", "c-ip", "client_ip", "clientip", "source.address", "client.ip")
	is("source.port", "src_port", "srcport", "sourceport", "source_port", "id.orig_p", "client.port")
	is("source.bytes", "orig_bytes", "cs-bytes", "bytes_out", "request_body_len")
	is("source.packets", "orig_pkts")
	is("destination.ip", "dst_ip", "dstip", "dst", "destinationip", "destination_ip", "dest_ip", "id.resp_h", "s-ip", "destination.address", "server.ip")
	is("destination.port", "dst_port", "dstport", "destinationport", "destination_port", "dest_port", "id.resp_p", "s-port", "cs-uri-port", "server.port")
	is("destination.bytes", "resp_bytes", "sc-bytes", "bytes_in", "response_body_len")
	is("destination.packets", "resp_pkts")
	is("network.transport", "proto", "protocol", "ip_protocol")
	is("network.protocol", "service", "app_proto", "application")
	is("user.name", "user", "username", "user_name", "cs-username", "targetusername", "accountname")
	is("dns.question.name", "query", "queryname", "dns.query.name", "dns-query", "question")
	is("dns.question.type", "record_type", "qtype_name", "query_type", "querytype", "dns.query.type")
	is("dns.response_code", "rcode_name", "response_code", "dns.response.code")
	is("dns.answers", "answer", "answers", "dns.answers.data", "queryresults")
	is("url.domain", "cs-host", "r-dns", "c-uri-host", "host", "hostname", "dest_domain", "destinationhostname")
	is("url.path", "c-uri-stem", "cs-uri-stem", "c-uri-path", "cs-uri-path", "uri_path")
	is("http.request.method", "cs-method", "method", "http_method", "http.method", "request_method")
	is("http.response.status_code", "sc-status", "status_code", "http_status", "http.status_code")
	is("user_agent.original", "c-useragent", "cs-useragent", "cs-user-agent", "cs(user-agent)", "http_user_agent", "user_agent", "useragent", "user-agent")
	is("zeek.connection.state", "conn_state", "network.state")

	// Zeek's duration is in seconds, W3C's time-taken in milliseconds.
	duration := []source{source(event.MustField("event.duration"))}
	add(1e9, duration, "duration")
	add(1e6, duration, "time-taken")

	// Rules write a request's whole URI, and its query, with and without what
	// stands before it in the URL.
	add(1, []source{sourceURI, sourceURL}, "c-uri", "cs-uri", "uri", "url", "url.original", "request_url")
	add(1, []source{sourceURL}, "url.full")
	add(1, []source{source(event.MustField("url.query")), sourceURI}, "cs-uri-query", "c-uri-query", "uri_query")
	add(1, []source{sourceExtension}, "c-uri-extension", "url.extension")
	add(1, []source{sourceNetworkType}, "network.type")
	return table
}()
