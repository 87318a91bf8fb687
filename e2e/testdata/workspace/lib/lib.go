// Package lib wants an older toml than its neighbour: with GOWORK=off it builds with another version than in the workspace.
package lib

import "github.com/BurntSushi/toml"

// Keys returns how many keys doc has.
func Keys(doc string) int {
	meta, err := toml.Decode(doc, new(map[string]any))
	if err != nil {
		return -1
	}
	return len(meta.Keys())
}
