// The plugin greeting is loaded by the command host.
package main

import "github.com/BurntSushi/toml"

// Greet returns the key in quotes.
func Greet(key toml.Key) string { return "plugin: " + key.String() }

func main() {}
