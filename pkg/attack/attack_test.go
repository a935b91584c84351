package attack_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"soclab/pkg/attack"
)

func ExampleTechniqueByID() {
	spraying, err := attack.TechniqueByID("t1110.003")
	fmt.Println(spraying.ID, spraying.Name, spraying.Tactics, attack.Parent(spraying.ID), err)

	_, err = attack.TechniqueByID("T1086")
	fmt.Println(errors.Is(err, attack.ErrRevoked), err)

	_, err = attack.TechniqueByID("T9999")
	fmt.Println(errors.Is(err, attack.ErrUnknown), err)
	// Output:
	// T1110.003 Password Spraying [TA0006] T1110 <nil>
	// true technique T1086 (PowerShell): withdrawn from ATT&CK Enterprise: revoked by T1059.001
	// true technique "T9999": not in ATT&CK Enterprise 19.2
}

func ExampleTacticNamed() {
	for _, name := range []string{"lateral-movement", "lateral_movement", "Lateral Movement", "TA0008", "Defense Evasion"} {
		tactic, _ := attack.TacticNamed(name)
		fmt.Println(tactic.ID, tactic.Name)
	}
	// Output:
	// TA0008 Lateral Movement
	// TA0008 Lateral Movement
	// TA0008 Lateral Movement
	// TA0008 Lateral Movement
	// TA0005 Stealth
}

func ExampleAnswers() {
	for _, id := range []string{"T1110", "T1110.003", "T1110.001", "T1111"} {
		fmt.Println(id, attack.Answers(id, "T1110.003"), attack.Answers(id, "T1110"))
	}
	// Output:
	// T1110 true true
	// T1110.003 true true
	// T1110.001 false true
	// T1111 false false
}

func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		id, expected string
		want         bool
	}{
		{"", "", false},
		{"", "T1110", false},
		{"T1110", "", false},
		{"T1110.003", "", false},
		{"T111", "T1110", false},
		{"T1110", "T111", false},
		{"T1110.003", "T1110.00", false},
	} {
		if got := attack.Answers(test.id, test.expected); got != test.want {
			t.Errorf("Answers(%q, %q) = %v", test.id, test.expected, got)
		}
	}
}

// The counts are those of the release: 858 technique ids, 161 of them withdrawn.
func TestTableIsTheRelease(t *testing.T) {
	techniques := attack.Techniques()
	if got := len(techniques); got != 697 {
		t.Errorf("%d live techniques, want 697", got)
	}
	if got := len(attack.Tactics()); got != 15 {
		t.Errorf("%d tactics, want 15", got)
	}

	id := regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
	for i, technique := range techniques {
		if !id.MatchString(technique.ID) || technique.Name == "" || len(technique.Tactics) == 0 {
			t.Errorf("row %d is incomplete: %+v", i, technique)
		}
		if i > 0 && techniques[i-1].ID >= technique.ID {
			t.Errorf("%s stands after %s", technique.ID, techniques[i-1].ID)
		}
		if _, err := attack.TechniqueByID(attack.Parent(technique.ID)); err != nil {
			t.Errorf("parent of %s: %v", technique.ID, err)
		}
		if !slices.IsSortedFunc(technique.Tactics, func(a, b string) int { return column(t, a) - column(t, b) }) {
			t.Errorf("%s: tactics %v are not in the matrix order", technique.ID, technique.Tactics)
		}
	}
}

func column(t *testing.T, tactic string) int {
	i := slices.IndexFunc(attack.Tactics(), func(c attack.Tactic) bool { return c.ID == tactic })
	if i < 0 {
		t.Errorf("no tactic %s", tactic)
	}
	return i
}

func TestTacticsFollowTheMatrix(t *testing.T) {
	var names []string
	for _, tactic := range attack.Tactics() {
		names = append(names, tactic.Name)
		for _, name := range []string{tactic.ID, strings.ToLower(tactic.ID), tactic.Name, tactic.Tag, strings.ToUpper(strings.ReplaceAll(tactic.Tag, "-", "_"))} {
			if found, err := attack.TacticNamed(name); err != nil || found != tactic {
				t.Errorf("TacticNamed(%q) = %v, %v; want %v", name, found, err, tactic)
			}
		}
	}
	want := "Reconnaissance, Resource Development, Initial Access, Execution, Persistence, Privilege Escalation, Stealth, " +
		"Defense Impairment, Credential Access, Discovery, Lateral Movement, Collection, Command and Control, Exfiltration, Impact"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("matrix order:\n got %s\nwant %s", got, want)
	}
	for _, name := range []string{"", "lateral", "TA9999", "T1046"} {
		if _, err := attack.TacticNamed(name); !errors.Is(err, attack.ErrUnknown) {
			t.Errorf("TacticNamed(%q): error %v, want ErrUnknown", name, err)
		}
	}
}

func TestTechniqueByID(t *testing.T) {
	tests := map[string]struct {
		id   string
		want error
	}{
		"technique":           {"T1046", nil},
		"sub-technique":       {"T1021.002", nil},
		"new in 19":           {"T1685", nil},
		"revoked in 19":       {"T1562.001", attack.ErrRevoked},
		"revoked long ago":    {"T1076", attack.ErrRevoked},
		"deprecated":          {"T1043", attack.ErrRevoked},
		"never was":           {"T1046.001", attack.ErrUnknown},
		"a tactic":            {"TA0007", attack.ErrUnknown},
		"empty":               {"", attack.ErrUnknown},
		"the comment":         {"#", attack.ErrUnknown},
		"space around the id": {" T1046", attack.ErrUnknown},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := attack.TechniqueByID(test.id)
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if test.want == nil && got.ID != test.id {
				t.Errorf("got %+v", got)
			}
		})
	}
}
