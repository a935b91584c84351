package stats

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"soclab/pkg/event"
)

// classified is one row of classified_packets.csv.
type classified struct {
	event.Event
	verdict           event.Verdict
	created, ingested time.Time
	partition         int
	offset            int64
}

func (c *classified) append(dst []byte) []byte {
	dst = event.AppendCSV(dst, &c.Event)
	v := c.verdict
	cells := [event.ColumnCount]string{
		event.ColumnCreated: stamp(c.created), event.ColumnIngested: stamp(c.ingested),
		event.ColumnClass: v.Class, event.ColumnRuleID: v.RuleID, event.ColumnRuleLevel: v.RuleLevel, event.ColumnMatches: strings.Join(v.Matches, ";"),
		event.ColumnTacticID: v.Tactic.ID, event.ColumnTacticName: v.Tactic.Name,
		event.ColumnTechniqueID: v.Technique.ID, event.ColumnTechniqueName: v.Technique.Name,
		event.ColumnPartition: fmt.Sprint(c.partition), event.ColumnOffset: fmt.Sprint(c.offset),
	}
	for _, text := range cells[event.ColumnCreated:] {
		dst = event.AppendCell(append(dst, ','), text)
	}
	return append(dst, '\n')
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// csvFile is the text of a file of these rows.
func csvFile(rows ...classified) string {
	text := []byte(strings.Join(event.RowColumns(), ",") + "\n")
	for i := range rows {
		text = rows[i].append(text)
	}
	return string(text)
}

// write writes a file of its own into a directory of the test.
func write(t testing.TB, text string) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "*.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// verdicts of a made-up rule set.
var (
	benign     = event.Verdict{Class: event.Benign}
	portScan   = detection("Port Scan of Many Ports", "r-scan", "medium", "TA0007", "Discovery", "T1046", "Network Service Discovery")
	bruteForce = detection("Many Failed Logins of One Account", "r-brute", "high", "TA0006", "Credential Access", "T1110.001", "Password Guessing")
	beacon     = detection("Regular Calls to One Web Server", "r-beacon", "medium", "TA0011", "Command and Control", "T1071.001", "Web Protocols")
	tunnel     = detection("Long Names in DNS Queries", "r-tunnel", "high", "TA0011", "Command and Control", "T1071.004", "DNS")
	lateral    = detection("Remote Desktop Between Workstations", "r-rdp", "high", "TA0008", "Lateral Movement", "T1021.001", "Remote Desktop Protocol")
	exfil      = detection("Large Upload to an Unknown Host", "r-exfil", "high", "TA0010", "Exfiltration", "T1041", "Exfiltration Over C2 Channel")
	flood      = detection("Flood of Half-Open Connections", "r-flood", "critical", "TA0040", "Impact", "T1498.001", "Direct Network Flood")
	exploit    = detection("Path Traversal in a Web Request", "r-web", "high", "TA0001", "Initial Access", "T1190", "Exploit Public-Facing Application")
)

func detection(title, rule, level, tactic, tacticName, technique, techniqueName string) event.Verdict {
	return event.Verdict{
		Class: title, RuleID: rule, RuleLevel: level, Matches: []string{rule},
		Tactic:    event.Threat{ID: tactic, Name: tacticName},
		Technique: event.Threat{ID: technique, Name: techniqueName},
	}
}

// writeDay writes a file of n rows, of which about 2 % are detections, spread over
// a day on three partitions.
func writeDay(t testing.TB, n int) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "classified_packets.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	w.WriteString(csvFile())
	random := rand.New(rand.NewPCG(1, 2))
	attacks := []event.Verdict{portScan, portScan, portScan, bruteForce, bruteForce, beacon, tunnel, lateral, exfil, flood, exploit}
	var offsets [3]int64
	var line []byte
	for i := range n {
		at := start.Add(24 * time.Hour / time.Duration(n) * time.Duration(i))
		host := random.IntN(400)
		partition := host % 3
		row := classified{
			Event: event.Event{
				Timestamp: at, ID: fmt.Sprintf("C%016x", random.Uint64()),
				Dataset: "zeek.conn", Category: "network", Action: "connection", Duration: event.Known(random.Int64N(1e9)),
				Source:      event.Endpoint{IP: netip.AddrFrom4([4]byte{10, 0, byte(host >> 8), byte(host)}), Port: event.Known(random.Int64N(60000)), Bytes: event.Known(random.Int64N(100000)), Packets: event.Known(12)},
				Destination: event.Endpoint{IP: netip.AddrFrom4([4]byte{93, 184, 216, byte(random.IntN(256))}), Port: event.Known(443), Bytes: event.Known(random.Int64N(1000000)), Packets: event.Known(17)},
				Transport:   "tcp", Protocol: "ssl", ConnState: "SF",
			},
			verdict:   benign,
			created:   at.Truncate(time.Millisecond),
			ingested:  at.Add(time.Duration(5e6 * (1 + random.ExpFloat64()*4))),
			partition: partition, offset: offsets[partition],
		}
		offsets[partition]++
		if random.IntN(50) == 0 {
			row.verdict = attacks[random.IntN(len(attacks))]
		}
		line = row.append(line[:0])
		w.Write(line)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}
