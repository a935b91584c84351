package sensor

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"soclab/internal/need"
)

func TestWholeLogs(t *testing.T) {
	const samples = "../../testdata/zeek"
	for _, c := range []struct {
		name, format string
		events       int
	}{
		{samples + "/port-scan.log", "Zeek conn.log (JSON lines)", 210},
		{samples + "/beacon.log", "Zeek conn.log (TSV)", 180},
		{"zeek-portscan/conn.log", "Zeek conn.log (JSON lines)", 4504},
		{"zeek-c2/labeled-conn.log", "Zeek conn.log (TSV)", 992},
		{"zeek-c2/conn.log", "Zeek conn.log (TSV)", 992},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := c.name
			if filepath.Dir(path) != samples {
				path = need.RealLog(t, path)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{path, write(t, "log.gz", gzipped(t, string(content)))} {
				f, err := Open(path)
				if err != nil {
					t.Fatal(err)
				}
				if f.Format() != c.format {
					t.Errorf("%s, want %s", f.Format(), c.format)
				}
				n := 0
				for {
					e, err := f.Next()
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					if err := e.Validate(); err != nil {
						t.Fatalf("event %d: %v", n, err)
					}
					n++
				}
				if read, size := f.Progress(); n != c.events || read != size {
					t.Errorf("%d events and %d of %d bytes, want %d and all", n, read, size, c.events)
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
