// The command app uses a private module and a public one.
package main

import (
	"fmt"
	"os"

	"git.corp.test/team/lib.git"
	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{Use: "app", Run: func(*cobra.Command, []string) { fmt.Println(lib.Name("a b", "c")) }}
	if err := root.Execute(); err != nil {
		os.Exit(1)
	}
}
