// Package broker runs the embedded Kafka-protocol broker of the local stack:
// one kfake broker on a loopback port, its log on disk.
//
// It is for a laboratory on one machine: one replica, no authentication, and
// like Apache Kafka by default it leaves writing to the disk to the operating
// system. So nothing acknowledged is lost when the process is killed, but a
// power failure can take the last records.
package broker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"
)

// defaultRetention bounds the log of one partition, in bytes. A partition of
// events.raw holds about 3.5 million events in it.
const defaultRetention = 1 << 30

// segmentSize is the size in bytes at which a partition's log rolls to a new
// file; retention deletes whole files.
const segmentSize = 16 << 20

// Options says where a broker keeps its log and where it listens.
type Options struct {
	// Dir holds the log and the committed offsets; it is created if needed.
	// Only one broker may use it at a time, which the caller sees to.
	Dir string

	// Addr is the loopback address to listen on: "127.0.0.1:9092", or any
	// free port with "127.0.0.1:0", which "" means too.
	Addr string

	// Retention is the size in bytes of a partition's log above which its
	// oldest records are deleted, looked at once a minute; 0 means
	// 1 GiB. There is no limit by age: the records of a lab may
	// carry the times of an old capture.
	Retention int64
}

// Broker is a running broker.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	stop    chan struct{}
	done    sync.WaitGroup
}

// Start loads the log under opts.Dir and serves it. Topics are not created by
// naming them: create them with an admin request.
//
// Consumer groups start without members: those of the previous run went with
// its process, and waiting for their session time-out would only delay the
// next one. Committed offsets stay.
func Start(opts Options) (*Broker, error) {
	port, err := loopbackPort(opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	// kfake keeps group members over an orderly stop in this file, and with
	// them the state of transactions and fetch sessions, which clients renew.
	err = os.Remove(filepath.Join(opts.Dir, "session_state.json"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	if err := snapshotLogs(opts.Dir); err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	retention := opts.Retention
	if retention <= 0 {
		retention = defaultRetention
	}
	cluster, err := kfake.NewCluster(
		kfake.DataDir(opts.Dir),
		kfake.Ports(port),
		kfake.ListenFn(listenGuarded),
		kfake.MaxVersions(kversion.V2_3_0()), // see guardedConn
		kfake.ClusterID("soclab"),
		kfake.DefaultNumPartitions(3),
		kfake.BrokerConfigs(map[string]string{
			"log.retention.bytes": strconv.FormatInt(retention, 10),
			"log.retention.ms":    "-1",
			"log.segment.bytes":   strconv.Itoa(segmentSize),
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("start broker on %s over %s: %w", opts.Addr, opts.Dir, err)
	}
	debug.FreeOSMemory() // kfake has read the whole log, file by file
	b := &Broker{cluster: cluster, addr: cluster.ListenAddrs()[0], stop: make(chan struct{})}
	b.done.Go(b.retain)
	return b, nil
}

// Addr is the address that the broker listens on and announces to clients.
func (b *Broker) Addr() string { return b.addr }

// Close stops the broker and writes what a quick start needs. It must be
// called once.
func (b *Broker) Close() {
	close(b.stop)
	b.done.Wait()
	b.cluster.Close()
}

// retain applies the retention by size, which kfake leaves to its caller for
// topics that do not set one of their own.
func (b *Broker) retain() {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		b.cluster.ApplyRetention()
		select {
		case <-ticker.C:
		case <-b.stop:
			return
		}
	}
}

// loopbackPort returns the port of a loopback address, 0 for "".
func loopbackPort(addr string) (int, error) {
	if addr == "" {
		return 0, nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	if host != "127.0.0.1" && host != "localhost" {
		return 0, fmt.Errorf("address %s: the broker has no authentication and listens on 127.0.0.1 only", addr)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("address %s: port must be a number from 0 to 65535", addr)
	}
	return int(n), nil
}
