package sigma

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Problem is what is wrong with a rule, and where: the reason why it was not
// loaded, or a warning about one that was. The error of Load joins one Problem
// for each rule that was refused; [Problems] lists them.
type Problem struct {
	File   string
	Line   int    // from 1; 0 where it concerns the whole file
	Rule   string // its title, where it is known
	ID     string
	Reason string // what is wrong and what would be accepted
}

func (p *Problem) Error() string {
	at := p.File
	if p.Line > 0 {
		at += ":" + strconv.Itoa(p.Line)
	}
	if p.Rule == "" {
		return at + ": " + p.Reason
	}
	return fmt.Sprintf("%s: %q: %s", at, p.Rule, p.Reason)
}

// Problems lists the problems that an error of Load, Parse or DefaultRules
// holds, however it was wrapped, in the order of files and lines.
func Problems(err error) []*Problem {
	switch e := err.(type) { //nolint:errorlint // it goes down the tree of errors itself
	case *Problem:
		return []*Problem{e}
	case interface{ Unwrap() []error }:
		var all []*Problem
		for _, one := range e.Unwrap() {
			all = append(all, Problems(one)...)
		}
		return all
	case interface{ Unwrap() error }:
		return Problems(e.Unwrap())
	}
	return nil
}

// refusal is a problem whose rule and file are not known yet.
type refusal struct {
	line int
	text string
}

func (r *refusal) Error() string { return r.text }

// refuse says what is wrong at a node.
func refuse(at *yaml.Node, format string, args ...any) error {
	return &refusal{line: at.Line, text: fmt.Sprintf(format, args...)}
}

// at gives an error that has no line the line of a node.
func at(node *yaml.Node, err error) error {
	var r *refusal
	if err == nil || errors.As(err, &r) {
		return err
	}
	return &refusal{line: node.Line, text: err.Error()}
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntaxError turns an error of the YAML reader into a problem.
func syntaxError(file string, err error) *Problem {
	text := err.Error()
	found := yamlLine.FindStringSubmatchIndex(text)
	p := &Problem{File: file, Reason: "not YAML: " + text}
	if found != nil {
		p.Reason = "not YAML: " + text[found[1]:]
		if found[2] >= 0 {
			p.Line, _ = strconv.Atoi(text[found[2]:found[3]])
		}
	}
	return p
}
