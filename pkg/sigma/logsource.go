package sigma

import (
	"slices"
	"strings"

	"soclab/pkg/event"
)

// LogSource names the logs that a rule is made for, as the rule has it.
type LogSource struct {
	Category, Product, Service string
}

func (l LogSource) String() string {
	var parts []string
	for _, p := range [...]struct{ name, value string }{
		{"category", l.Category}, {"product", l.Product}, {"service", l.Service},
	} {
		if p.value != "" {
			parts = append(parts, p.name+" "+p.value)
		}
	}
	return strings.Join(parts, ", ")
}

// A route tells which events a rule sees. What is empty is not asked for.
type route struct {
	category string // event.category
	dataset  string // event.dataset, exactly; "zeek." any that begin so; ".dns" any that end so
	except   string // not these, in the same way
	protocol string // network.protocol, or one of its elements
}

func (r route) takes(e *event.Event) bool {
	return (r.category == "" || r.category == e.Category) &&
		(r.dataset == "" || covers(r.dataset, e.Dataset)) &&
		(r.except == "" || !covers(r.except, e.Dataset)) &&
		(r.protocol == "" || r.protocol == e.Protocol || slices.Contains(listed(e.Protocol), r.protocol))
}

func covers(pattern, dataset string) bool {
	switch {
	case strings.HasSuffix(pattern, "."):
		return strings.HasPrefix(dataset, pattern)
	case strings.HasPrefix(pattern, "."):
		return strings.HasSuffix(dataset, pattern)
	}
	return dataset == pattern
}

var (
	connections = route{category: "network", except: ".dns"}
	questions   = route{dataset: ".dns"}
	requests    = route{category: "web"}
	logins      = route{category: "authentication"}
	loginLog    = route{dataset: "system.auth"}
)

// routes says what each log source is among our events. A firewall logs all
// that goes through it, and what was recognized as a request, a question or a
// login is not there as a connection, too: so its rules see every event.
var routes = map[LogSource]route{
	{Category: "firewall"}:                       {},
	{Category: "network_connection"}:             connections,
	{Category: "network"}:                        {category: "network"},
	{Category: "network", Service: "connection"}: connections,
	{Category: "network", Service: "dns"}:        questions,
	{Category: "dns"}:                            questions,
	{Category: "dns_query"}:                      questions,
	{Category: "proxy"}:                          requests,
	{Category: "webserver"}:                      requests,
	{Category: "web"}:                            requests,
	{Category: "authentication"}:                 logins,

	{Product: "zeek"}:                  {dataset: "zeek."},
	{Product: "zeek", Service: "conn"}: {dataset: "zeek.conn"},
	{Product: "zeek", Service: "dns"}:  {dataset: "zeek.dns"},
	{Product: "zeek", Service: "http"}: {dataset: "zeek.http"},
	{Product: "zeek", Service: "rdp"}:  {dataset: "zeek.conn", protocol: "rdp"},
	{Product: "zeek", Service: "ssh"}:  {dataset: "zeek.ssh"},

	{Product: "suricata"}:                   {dataset: "suricata."},
	{Product: "suricata", Service: "alert"}: {dataset: "suricata.alert"},
	{Product: "suricata", Service: "dns"}:   {dataset: "suricata.dns"},
	{Product: "suricata", Service: "flow"}:  {dataset: "suricata.flow"},
	{Product: "suricata", Service: "http"}:  {dataset: "suricata.http"},
	{Product: "suricata", Service: "ssh"}:   {dataset: "suricata.ssh"},

	{Product: "linux", Service: "auth"}: loginLog,
	{Product: "linux", Service: "sshd"}: loginLog,
	{Service: "auth"}:                   loginLog,
	{Service: "sshd"}:                   loginLog,
}

// logSource reads the log source of a rule or filter.
func logSource(root *section) (LogSource, route, error) {
	node := root.values["logsource"]
	if node == nil {
		return LogSource{}, route{}, refuse(root.node, "a rule needs a logsource")
	}
	in, err := mapping(node)
	if err != nil {
		return LogSource{}, route{}, err
	}
	source := LogSource{strings.ToLower(in.scalar("category")), strings.ToLower(in.scalar("product")), strings.ToLower(in.scalar("service"))}
	r, known := routes[source]
	switch {
	case in.err != nil:
		return LogSource{}, route{}, in.err
	case source == LogSource{}:
		return LogSource{}, route{}, refuse(node, "logsource names no category, product or service")
	case !known:
		var all []string
		for l := range routes {
			all = append(all, l.String())
		}
		slices.Sort(all)
		return LogSource{}, route{}, refuse(node, "no events come from the log source %s; these are known: %s", source, strings.Join(all, "; "))
	}
	return source, r, nil
}
