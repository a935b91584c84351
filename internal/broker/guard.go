package broker

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxRequest is the largest request let through, in bytes. Clients batch up to
// about 1 MiB per partition.
const maxRequest = 16 << 20

// listenGuarded listens like [net.Listen]; the connections it accepts end at
// the first request that kfake could not survive.
func listenGuarded(network, address string) (net.Listener, error) {
	ln, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	return guardedListener{ln}, nil
}

type guardedListener struct{ net.Listener }

func (l guardedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return guard(conn), nil
}

func guard(conn net.Conn) net.Conn {
	return &guardedConn{Conn: conn, requests: bufio.NewReaderSize(conn, 64<<10)}
}

// guardedConn reads Kafka requests and checks the head of each before any of
// it is handed on: kfake allocates whatever length a request claims, panics on
// an API key that it does not know, and counts through as many tagged fields as
// a request claims, up to 4 billion. Those came with the flexible versions of
// Kafka 2.4 (KIP-482), which the broker does not offer: all clients speak the
// versions before as well.
type guardedConn struct {
	net.Conn
	requests *bufio.Reader
	left     int // bytes of the current request that are not handed on yet
}

func (c *guardedConn) Read(p []byte) (int, error) {
	if c.left == 0 {
		size, err := c.nextRequest()
		if err != nil {
			return 0, err
		}
		c.left = size
	}
	n, err := c.requests.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// nextRequest checks the head of the next request and returns its size in
// bytes, length prefix included. A request starts with its length (4 bytes,
// without the prefix), API key (2), API version (2) and correlation id (4):
// the Kafka protocol guide, "Request Header".
func (c *guardedConn) nextRequest() (int, error) {
	const prefix, header = 4, 8
	head, err := c.requests.Peek(prefix + header)
	if err != nil {
		return 0, err
	}
	size := binary.BigEndian.Uint32(head)
	if size < header || size > maxRequest {
		return 0, fmt.Errorf("refused request of %d bytes", size)
	}
	key := int16(binary.BigEndian.Uint16(head[4:]))
	version := int16(binary.BigEndian.Uint16(head[6:]))
	request := kmsg.RequestForKey(key)
	if request == nil {
		return 0, fmt.Errorf("refused request with unknown API key %d", key)
	}
	// A broker answers any version of ApiVersions: clients begin with it.
	_, negotiates := request.(*kmsg.ApiVersionsRequest)
	request.SetVersion(version)
	if version < 0 || !negotiates && (version > request.MaxVersion() || request.IsFlexible()) {
		return 0, fmt.Errorf("refused request with API key %d in version %d", key, version)
	}
	return prefix + int(size), nil
}
