package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle/gomod"
)

func localFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "local", Usage: "make the module of the directory `DIR@VERSION` and pack it with what it needs; may be repeated"}
}

// locals returns the values of --local. A directory may have an @ in its name, a version not.
func locals(c *cli.Context) (list []gomod.Local, err error) {
	for _, word := range c.StringSlice("local") {
		i := strings.LastIndexByte(word, '@')
		if i <= 0 || i == len(word)-1 {
			return nil, withHint(usagef("local module %q has no version", word), "write DIR@VERSION, as in ./lib@v1.4.0")
		}
		list = append(list, gomod.Local{Dir: word[:i], Version: word[i+1:]})
	}
	return list, nil
}
