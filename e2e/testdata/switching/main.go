// Switching tells whether it was compiled by the Go version that it is called with.
package main

import (
	"os"
	"runtime"

	"github.com/BurntSushi/toml"
)

func main() {
	var c struct{ Version string }
	if _, err := toml.Decode("version = \""+os.Args[1]+"\"", &c); err != nil || c.Version != runtime.Version() {
		println("compiled by", runtime.Version())
		os.Exit(1)
	}
}
