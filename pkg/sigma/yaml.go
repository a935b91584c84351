package sigma

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mapping is a YAML map with text keys. Keys that come twice are refused, and
// so are aliases, here and in what is read by the functions below: written
// out, a rule says what it does where one reads it.
func mapping(node *yaml.Node) (map[string]*yaml.Node, error) {
	if node.Kind != yaml.MappingNode {
		return nil, refuse(node, "want a map of keys and values")
	}
	m := make(map[string]*yaml.Node, len(node.Content)/2)
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || value.Kind == yaml.AliasNode || key.Tag == "!!merge":
			return nil, refuse(key, "YAML aliases and merge keys are not supported: write the values out")
		case m[key.Value] != nil:
			return nil, refuse(key, "key %q comes twice", key.Value)
		}
		m[key.Value] = value
	}
	return m, nil
}

// scalar is the text of a node, empty where there is none.
func scalar(node *yaml.Node) (string, error) {
	if node == nil || node.Tag == "!!null" {
		return "", nil
	}
	if node.Kind != yaml.ScalarNode {
		return "", refuse(node, "want one text, not a list or a map")
	}
	return node.Value, nil
}

// A section reads the values of a map until one is wrong.
type section struct {
	values map[string]*yaml.Node
	err    error
}

func (s *section) scalar(key string) string  { return read(s, key, scalar) }
func (s *section) texts(key string) []string { return read(s, key, texts) }

func read[T any](s *section, key string, parse func(*yaml.Node) (T, error)) (value T) {
	if s.err == nil {
		value, s.err = parse(s.values[key])
	}
	return value
}

// texts are those of a list, or one alone.
func texts(node *yaml.Node) ([]string, error) {
	if node == nil || node.Tag == "!!null" {
		return nil, nil
	}
	nodes := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		nodes = node.Content
	}
	var all []string
	for _, n := range nodes {
		t, err := scalar(n)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// boolean is true or false, or one of YAML 1.1's words for them.
func boolean(node *yaml.Node) (value bool, err error) {
	if node.Tag == "!!null" || node.Decode(&value) != nil {
		return false, refuse(node, "want true or false, not %q", node.Value)
	}
	return value, nil
}

// keysInOrder are the keys of a map as they stand.
func keysInOrder(node *yaml.Node) []string {
	var keys []string
	for i := 0; i < len(node.Content); i += 2 {
		keys = append(keys, node.Content[i].Value)
	}
	return keys
}

// unknownKey names a key of the map that is not among the known ones.
func unknownKey[V any](node *yaml.Node, known map[string]V) error {
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i]
		if _, ok := known[key.Value]; !ok {
			names := slices.Sorted(maps.Keys(known))
			return refuse(key, "key %q is not known: use %s", key.Value, strings.Join(names, ", "))
		}
	}
	return nil
}
