package event

// Truth says what an attack event is part of. Benign events have none.
type Truth struct {
	EventID    string
	Incident   string   // one run of one step of a scenario; unique over runs of the generator
	Scenario   string   // such as port-scan or c2-beacon
	Tactic     string   // ATT&CK id, such as TA0007
	Techniques []string // ATT&CK ids that are right for it, the best first; shared, not to be changed
}
