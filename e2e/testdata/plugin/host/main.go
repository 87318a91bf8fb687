// The command host loads a plugin, and calls its function Greet.
package main

import (
	"fmt"
	"os"
	"plugin"

	"github.com/BurntSushi/toml"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(name string) error {
	p, err := plugin.Open(name)
	if err != nil {
		return err
	}
	greet, err := p.Lookup("Greet")
	if err != nil {
		return err
	}
	// A type of the module that both have: were it not the same, the assertion would fail.
	fmt.Println(greet.(func(toml.Key) string)(toml.Key{"hello", "host"}))
	return nil
}
