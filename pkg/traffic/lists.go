package traffic

import (
	_ "embed"
	"encoding/json"
)

//go:embed lists.json
var listsJSON []byte

// lists are the names and texts that activities draw from.
var lists struct {
	Companies, FirstNames, LastNames, Words        []string
	Browsers, WebPaths, IntranetPaths, PublicPaths []string
	MailDomains, MistypedNames, ServiceAccounts    []string
	GuessedUsers, Payloads, Downloaders, Commands  []string
	WebScanners, ScannedPaths, MiningPools         []string
	SiteNames                                      []string // content networks among them, whose names look made by an algorithm
	CommonPorts                                    []int
	Beacons                                        []struct { // the default web requests of command-and-control tools
		Get         []string
		Post, Agent string
	}
	RemoteTools []struct {
		Relay, Domain string
		Port          int
	}
	Exploits    [][]struct{ Method, Path, Query, Agent string } // by kind
	CloudStores []struct{ Method, Domain, Path, Agent string }
}

func init() {
	if err := json.Unmarshal(listsJSON, &lists); err != nil {
		panic(err) // the file is part of the program
	}
}
