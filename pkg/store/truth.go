package store

import (
	"fmt"
	"strings"

	"soclab/pkg/event"
)

// The columns of truth.csv.
const (
	truthIncident = "incident"
	truthScenario = "scenario"
)

var (
	truthID        = event.FieldID.Name()
	truthTactic    = event.ColumnTacticID.Name()
	truthTechnique = event.ColumnTechniqueID.Name()

	truthColumns = []string{truthID, truthIncident, truthScenario, truthTactic, truthTechnique}
)

const techniqueSeparator = ";"

func appendTruth(dst []byte, t *event.Truth) []byte {
	for _, text := range [...]string{t.EventID, t.Incident, t.Scenario, t.Tactic} {
		dst = append(event.AppendCell(dst, text), ',')
	}
	return event.AppendCell(dst, strings.Join(t.Techniques, techniqueSeparator))
}

// parseTruth reads the truth of a row whose cells are given by column.
func parseTruth(cell func(column string) string) (event.Truth, error) {
	for _, column := range []string{truthID, truthIncident, truthScenario, truthTechnique} {
		if cell(column) == "" {
			return event.Truth{}, fmt.Errorf("%s: want a value", column)
		}
	}
	return event.Truth{
		EventID:    event.Unescape(cell(truthID)),
		Incident:   event.Unescape(cell(truthIncident)),
		Scenario:   event.Unescape(cell(truthScenario)),
		Tactic:     cell(truthTactic),
		Techniques: strings.Split(cell(truthTechnique), techniqueSeparator),
	}, nil
}
