package traffic

import (
	"strings"

	"soclab/pkg/event"
)

// sniffRaw knows raw_packets.csv by the names in its header.
func sniffRaw(header string) (decoder, error) {
	if !strings.Contains(header, event.FieldTimestamp.Name()) || strings.HasPrefix(header, "{") {
		return nil, nil
	}
	columns, err := event.ParseHeader(header)
	if err != nil {
		return nil, err
	}
	return func(row string, e *event.Event) (bool, error) {
		if row == header { // the first row, or files that were joined
			return false, nil
		}
		return true, columns.Decode(row, e)
	}, nil
}
