// App stands in a workspace: it uses another member, a module replaced by another version and one replaced by a directory.
package main

import (
	"fmt"

	"example.com/greet"
	"example.com/lib"
	"github.com/BurntSushi/toml"
	"rsc.io/quote"
)

func main() {
	var c struct{ Name string }
	if _, err := toml.Decode(`name = "gopher"`, &c); err != nil {
		panic(err)
	}
	fmt.Println(greet.To(c.Name), lib.Keys(`a = 1`), quote.Hello() != "")
}
