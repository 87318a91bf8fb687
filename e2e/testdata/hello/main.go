// Hello is a small program with dependencies of every shape: with capital letters in the path, with a major version
// suffix, with none, needed by tests only, and a tool.
package main

import (
	"fmt"
	"os"

	"github.com/BurntSushi/toml"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"gopkg.in/yaml.v3"
)

type config struct {
	Name string `toml:"name" yaml:"name"`
}

func greeting(name string) string {
	return message.NewPrinter(language.English).Sprintf("hello, %s number %d", name, 1000)
}

func run(cmd *cobra.Command, _ []string) error {
	var c config
	if _, err := toml.Decode(`name = "gopher"`, &c); err != nil {
		return err
	}
	out, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	id := uuid.NewSHA1(uuid.NameSpaceDNS, out)
	fmt.Fprintln(cmd.OutOrStdout(), greeting(c.Name), id)
	return nil
}

func main() {
	root := &cobra.Command{Use: "hello", RunE: run}
	if err := root.Execute(); err != nil {
		os.Exit(1)
	}
}
