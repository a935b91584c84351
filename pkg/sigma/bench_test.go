package sigma

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"soclab/pkg/event"
)

// traffic is what a home network of 200 hosts may look like: web requests, DNS
// questions, connections and logins, with a few that the default rules detect.
// The same seed gives the same events, a millisecond apart.
func traffic(seed uint64, n int) []event.Record {
	random := rand.New(rand.NewPCG(seed, 0))
	pick := func(s string) string {
		words := strings.Fields(s)
		return words[random.IntN(len(words))]
	}
	outside := func() netip.Addr {
		return netip.AddrFrom4([4]byte{byte(60 + random.IntN(40)), byte(random.IntN(20)), 7, byte(random.IntN(50))})
	}
	records := make([]event.Record, n)
	for i := range records {
		e := event.Event{
			Timestamp: noon.Add(time.Duration(i) * time.Millisecond),
			ID:        fmt.Sprintf("C%08x", i),
			Source:    event.Endpoint{IP: netip.AddrFrom4([4]byte{10, 0, 1, byte(random.IntN(200))}), Port: event.Known(int64(1024 + random.IntN(60000)))},
		}
		e.Source.Bytes, e.Destination.Bytes = event.Known(int64(random.IntN(4000))), event.Known(int64(random.IntN(90000)))
		switch k := random.IntN(100); {
		case k < 35:
			e.Dataset, e.Category, e.Action = "zeek.http", "web", "request"
			e.Destination.IP, e.Destination.Port = outside(), event.Known(80)
			e.Transport, e.Protocol = "tcp", "http"
			e.URL = event.URL{Domain: pick("www.example.org cdn.example.net api.example.com"), Path: "/" + pick("index.html img/logo.png v1/items search"), Query: pick("q=shoes page=2 id=7&sort=asc")}
			e.HTTP = event.HTTP{Method: pick("GET GET GET POST"), Status: event.Known(200)}
			e.UserAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
		case k < 65:
			e.Dataset, e.Category, e.Action = "zeek.dns", "network", "query"
			e.Destination.IP, e.Destination.Port = netip.MustParseAddr("10.0.0.2"), event.Known(53)
			e.Transport, e.Protocol = "udp", "dns"
			e.DNS = event.DNS{Question: pick("www mail cdn api") + fmt.Sprint(random.IntN(300)) + ".example.org", Type: pick("A A AAAA HTTPS"), ResponseCode: "NOERROR", Answers: "93.184.216.34"}
		case k < 92:
			e.Dataset, e.Category, e.Action = "zeek.conn", "network", "connection"
			e.Destination.IP, e.Destination.Port = outside(), event.Known(443)
			e.Transport, e.Protocol, e.ConnState = "tcp", "ssl", "SF"
			e.Duration = event.Known(int64(random.IntN(1e9)))
			if random.IntN(10) == 0 {
				e.Destination.Port, e.ConnState, e.Protocol = event.Known(int64(random.IntN(2000))), "S0", ""
			}
		default:
			e.Dataset, e.Category, e.Action = "system.auth", "authentication", "login"
			e.Destination.IP, e.Destination.Port = netip.AddrFrom4([4]byte{10, 0, 0, byte(random.IntN(20))}), event.Known(22)
			e.Protocol, e.User, e.Outcome = "ssh", pick("ann bob eve root"), pick("success success success failure")
		}
		records[i] = event.Record{Event: e, Offset: int64(i), Time: e.Timestamp}
	}
	return records
}

// batches cuts records into batches of one partition.
func batches(records []event.Record, size int) []*event.Batch {
	var all []*event.Batch
	for len(records) > 0 {
		n := min(size, len(records))
		all = append(all, &event.Batch{Topic: "events.raw", Records: records[:n]})
		records = records[n:]
	}
	return all
}

// BenchmarkDefaultRules classifies mixed traffic by the default rules.
func BenchmarkDefaultRules(b *testing.B) {
	rules, err := DefaultRules()
	if err != nil {
		b.Fatal(err)
	}
	const events = 200_000
	records := traffic(1, events)
	c := NewClassifier(rules)
	b.ReportAllocs()
	b.ResetTimer()
	passes, hits := 0, 0
	begin := cpuTime()
	for b.Loop() {
		for _, batch := range batches(records, 1000) {
			for _, v := range c.Classify(context.Background(), batch) {
				if v.RuleID != "" {
					hits++
				}
			}
		}
		passes++
		for i := range records { // the log goes on
			records[i].Offset += events
			records[i].Timestamp = records[i].Timestamp.Add(events * time.Millisecond)
		}
	}
	n := float64(passes * events)
	b.ReportMetric(n/(cpuTime()-begin).Seconds(), "events/cpu-s")
	b.ReportMetric(float64(hits)/n, "hits/event")
}

// cpuTime is what the process has used so far: on a shared machine the time
// on the wall says little.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
