package event

import "strings"

// AppendClassifiedJSON appends an event and its verdict as one flat JSON
// object: the form of the topic events.classified, with the names of the
// columns of classified_packets.csv.
func AppendClassifiedJSON(dst []byte, r *Record, v *Verdict) []byte {
	dst = appendMembers(dst, &r.Event)
	dst = append(appendTime(append(appendKey(dst, "event.created"), '"'), r.Time), '"')
	for _, member := range [...][2]string{
		{"class", v.Class},
		{"rule.id", v.RuleID},
		{"rule.level", v.RuleLevel},
		{"rule.matches", strings.Join(v.Matches, ";")},
		{"threat.tactic.id", v.Tactic.ID},
		{"threat.tactic.name", v.Tactic.Name},
		{"threat.technique.id", v.Technique.ID},
		{"threat.technique.name", v.Technique.Name},
	} {
		if member[1] != "" {
			dst = appendMember(dst, member[0], member[1])
		}
	}
	return append(dst, '}')
}
