package store

import (
	"testing"

	"soclab/internal/sinktest"
)

func TestResultsAreASink(t *testing.T) {
	sinktest.Run(t, sinktest.Format{
		Open: func(path string, open func(string) (sinktest.File, error)) (sinktest.Sink, error) {
			return openWith(path, func(path string) (file, error) { return open(path) })
		},
		Read: func(path string, each func(partition int, offset int64, eventID string)) error {
			for row, err := range Read(path) {
				if err != nil {
					return err
				}
				each(row.Partition, row.Offset, row.ID)
			}
			return nil
		},
	})
}
