package stats

import (
	"encoding/json"
	"os"
	"testing"
)

func TestScratch(t *testing.T) {
	s, err := Read(t.Context(), day24(t, 12000))
	if err != nil {
		t.Fatal(err)
	}
	s.WriteText(os.Stdout)
	s.BySource=s.BySource[:2]
	s.ByTime=s.ByTime[:2]
	s.Suspects=s.Suspects[:2]
	b, _:=json.Marshal(s)
	os.Stdout.Write(b)
}
