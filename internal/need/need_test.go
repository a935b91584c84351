package need

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMissing(t *testing.T) {
	list := filepath.Join(t.TempDir(), "skipped")
	t.Setenv("SOCLAB_SKIPPED", list)
	for _, thing := range []string{"a browser", "a log"} {
		skipped := false
		t.Run("without", func(t *testing.T) {
			defer func() { skipped = t.Skipped() }()
			Missing(t, "no %s", thing)
			t.Error("the test went on")
		})
		if !skipped {
			t.Error("the test was not skipped")
		}
	}
	said, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if want := "TestMissing/without: no a browser\nTestMissing/without#01: no a log\n"; string(said) != want {
		t.Errorf("got  %q\nwant %q", said, want)
	}
}
