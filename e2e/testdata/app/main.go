// App is the project of the walk-throughs: small, so that little of the standard library is built.
package main

import (
	"fmt"
	"os"

	"github.com/BurntSushi/toml"
)

func main() {
	if err := greet(`name = "gopher"`); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func greet(config string) error {
	var c struct{ Name string }
	if _, err := toml.Decode(config, &c); err != nil {
		return err
	}
	fmt.Println("hello,", c.Name)
	return nil
}
