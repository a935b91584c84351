package broker

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// request returns the bytes of a request as a client sends it.
func request(t testing.TB, version int16, message protocol.Message) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := protocol.WriteRequest(&b, version, 1, "test", message); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// head returns a request's length prefix, API key and version.
func head(size uint32, key, version int16) []byte {
	b := binary.BigEndian.AppendUint32(nil, size)
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	return append(b, 0, 0, 0, 1)
}

// through reads all that a guarded connection lets through.
func through(sent []byte) ([]byte, error) {
	client, server := net.Pipe()
	go func() {
		client.Write(sent)
		client.Close()
	}()
	defer server.Close()
	return io.ReadAll(guard(server))
}

func TestGuardLetsWholeRequestsThrough(t *testing.T) {
	sent := append(request(t, 0, &apiversions.Request{}), request(t, 1, &metadata.Request{TopicNames: []string{"events.raw"}})...)
	got, err := through(sent)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("got %d bytes and error %v, want all %d bytes", len(got), err, len(sent))
	}
}

func TestGuardRefuses(t *testing.T) {
	for name, bad := range map[string][]byte{
		"unknown API key":     head(100, 999, 0),
		"negative API key":    head(100, -1, 0),
		"unknown version":     head(100, kmsg.Metadata.Int16(), 999),
		"flexible version":    head(100, kmsg.Metadata.Int16(), 9),
		"negative version":    head(100, kmsg.Metadata.Int16(), -1),
		"huge length":         head(1<<31, kmsg.Metadata.Int16(), 1),
		"length above bound":  head(maxRequest+1, kmsg.Metadata.Int16(), 1),
		"length below header": head(7, kmsg.Metadata.Int16(), 1),
		"HTTP":                []byte("GET / HTTP/1.1\r\nHost: localhost:9092\r\n\r\n"),
		"TLS":                 []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on"),
	} {
		t.Run(name, func(t *testing.T) {
			good := request(t, 0, &apiversions.Request{})
			got, err := through(append(bytes.Clone(good), bad...))
			if err == nil {
				t.Error("no error")
			}
			if !bytes.Equal(got, good) {
				t.Errorf("let %d bytes through, want the %d of the good request before it", len(got), len(good))
			}
		})
	}
}

// FuzzGuard checks that only whole, plausible requests come through, and that
// the broker behind the guard survives whatever does.
func FuzzGuard(f *testing.F) {
	f.Add(request(f, 0, &apiversions.Request{}))
	f.Add(request(f, 1, &metadata.Request{TopicNames: []string{"events.raw"}}))
	f.Add(head(100, 999, 0))
	f.Add(head(1<<31, 3, 1))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	for key := range int16(kmsg.MaxKey + 1) {
		if r := kmsg.RequestForKey(key); r != nil {
			for _, version := range []int16{0, r.MaxVersion()} {
				r.SetVersion(version)
				f.Add(kmsg.NewRequestFormatter().AppendRequest(nil, r, 1))
			}
		}
	}
	b, err := Start(Options{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(b.Close)
	f.Fuzz(func(t *testing.T, sent []byte) {
		got, _ := through(sent)
		if !bytes.HasPrefix(sent, got) {
			t.Fatal("the guard changed what was sent")
		}
		for rest := got; len(rest) > 0; {
			if len(rest) < 12 {
				t.Fatal("let less than a request's head through")
			}
			size := binary.BigEndian.Uint32(rest)
			if size < 8 || size > maxRequest {
				t.Fatalf("let a length of %d through", size)
			}
			if kmsg.RequestForKey(int16(binary.BigEndian.Uint16(rest[4:]))) == nil {
				t.Fatal("let an unknown API key through")
			}
			rest = rest[min(len(rest), 4+int(size)):]
		}

		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatalf("the broker is gone: %v", err)
		}
		conn.SetDeadline(time.Now().Add(time.Second)) // some requests ask the broker to wait
		conn.Write(sent)
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, conn)
		conn.Close()
	})
}
