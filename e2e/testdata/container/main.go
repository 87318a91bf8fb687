// Container is what a container build compiles with nothing but the bundle: small, so that little of the standard library is built.
package main

import "github.com/BurntSushi/toml"

func main() {
	var c struct{ Name string }
	if _, err := toml.Decode(`name = "gopher"`, &c); err != nil || c.Name != "gopher" {
		panic(err)
	}
	println("hello from the container")
}
