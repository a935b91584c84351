// Package attack is a table of the tactics and techniques of MITRE ATT&CK
// Enterprise: lookups by id and by name, including the names that tactics had
// in earlier versions.
//
// © 2026 The MITRE Corporation. This work is reproduced and distributed with
// the permission of The MITRE Corporation. Its licence is in the file NOTICE.
package attack

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Version is the ATT&CK release that the table holds.
const Version = "19.2"

var (
	// errUnknown: no version of ATT&CK up to this one has such an id or name.
	errUnknown = errors.New("not in ATT&CK Enterprise " + Version)
	// errRevoked: ATT&CK has revoked or deprecated the id.
	errRevoked = errors.New("withdrawn from ATT&CK Enterprise")
)

// Tactic is a column of the ATT&CK matrix: what an adversary wants to reach.
type Tactic struct {
	ID   string // such as TA0008
	Name string // such as Lateral Movement
	Tag  string // as in Sigma tags and Navigator layers, such as lateral-movement
}

// Technique is a technique or sub-technique: how a tactic's goal is reached.
type Technique struct {
	ID      string   // such as T1110 or T1110.003
	Name    string   // a sub-technique's own name, without its parent's
	Tactics []string // ids in the matrix order; shared, not to be changed
}

// Parent is the id of the technique that a sub-technique belongs to, and a
// technique's own id.
func Parent(id string) string {
	id, _, _ = strings.Cut(id, ".")
	return id
}

// Answers reports whether naming the technique id is a right answer where
// another was expected: it is that one, its parent, or a sub-technique of it.
// Two sub-techniques of one parent are different, and no id answers nothing.
func Answers(id, expected string) bool {
	return id != "" && (id == expected || id == Parent(expected) || Parent(id) == expected)
}

// matrix lists the tactics as the columns of the matrix stand, left to right.
var matrix = [...]Tactic{
	{"TA0043", "Reconnaissance", "reconnaissance"},
	{"TA0042", "Resource Development", "resource-development"},
	{"TA0001", "Initial Access", "initial-access"},
	{"TA0002", "Execution", "execution"},
	{"TA0003", "Persistence", "persistence"},
	{"TA0004", "Privilege Escalation", "privilege-escalation"},
	{"TA0005", "Stealth", "stealth"},
	{"TA0112", "Defense Impairment", "defense-impairment"},
	{"TA0006", "Credential Access", "credential-access"},
	{"TA0007", "Discovery", "discovery"},
	{"TA0008", "Lateral Movement", "lateral-movement"},
	{"TA0009", "Collection", "collection"},
	{"TA0011", "Command and Control", "command-and-control"},
	{"TA0010", "Exfiltration", "exfiltration"},
	{"TA0040", "Impact", "impact"},
}

// Up to version 18, TA0005 also held what is now Defense Impairment.
const (
	stealth        = "stealth"
	defenseEvasion = "defense-evasion"
)

// Tactics lists all tactics in the order of the matrix.
func Tactics() []Tactic { return slices.Clone(matrix[:]) }

// TacticNamed finds a tactic by its id, tag or name, in any case and with
// spaces, hyphens or underscores between the words. The name of an earlier
// version, Defense Evasion, finds the tactic that kept its id.
func TacticNamed(name string) (Tactic, error) {
	tag := strings.Map(func(r rune) rune {
		if r == ' ' || r == '_' {
			return '-'
		}
		return r
	}, strings.ToLower(name))
	if tag == defenseEvasion {
		tag = stealth
	}
	for _, t := range matrix {
		if tag == t.Tag || strings.EqualFold(tag, t.ID) {
			return t, nil
		}
	}
	return Tactic{}, fmt.Errorf("tactic %q: %w", name, errUnknown)
}

// TechniqueByID finds a live technique or sub-technique; the case of the T
// does not matter. Where ATT&CK has withdrawn the id, the error says so and names
// the successor if there is one.
func TechniqueByID(id string) (Technique, error) {
	known := table()
	upper := strings.ToUpper(id)
	if i, ok := known.byID[upper]; ok {
		return known.techniques[i], nil
	}
	if w, ok := known.withdrawn[upper]; ok {
		if w.successor == "" {
			return Technique{}, fmt.Errorf("technique %s (%s): %w: deprecated", upper, w.name, errRevoked)
		}
		return Technique{}, fmt.Errorf("technique %s (%s): %w: revoked by %s", upper, w.name, errRevoked, w.successor)
	}
	return Technique{}, fmt.Errorf("technique %q: %w", id, errUnknown)
}

var (
	//go:embed techniques.tsv
	techniquesTSV string
	//go:embed withdrawn.tsv
	withdrawnTSV string
)

type tables struct {
	techniques []Technique
	byID       map[string]int // index into techniques
	withdrawn  map[string]withdrawal
}

type withdrawal struct{ name, successor string }

var table = sync.OnceValue(func() *tables {
	t := &tables{byID: make(map[string]int), withdrawn: make(map[string]withdrawal)}
	eachRow(techniquesTSV, func(id, name, tactics string) {
		t.byID[id] = len(t.techniques)
		t.techniques = append(t.techniques, Technique{id, name, strings.Fields(tactics)})
	})
	eachRow(withdrawnTSV, func(id, name, successor string) {
		t.withdrawn[id] = withdrawal{name, successor}
	})
	return t
})

func eachRow(tsv string, row func(id, name, rest string)) {
	for line := range strings.Lines(tsv) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		id, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		name, rest, _ := strings.Cut(rest, "\t")
		row(id, name, rest)
	}
}
