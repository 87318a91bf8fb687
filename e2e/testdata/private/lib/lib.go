// Package lib is what a team keeps to itself.
package lib

import "github.com/BurntSushi/toml"

// Name quotes a name where TOML wants it.
func Name(words ...string) string { return toml.Key(words).String() }
