package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

const completionFlag = "--generate-bash-completion"

var helpFlags = []string{"-h", "-help", "--help"}

// arrange puts the flags of a command in front of its arguments, where the library looks
// for them, and refuses flags that the command does not have. Everything behind "--" is an
// argument.
func arrange(app *cli.App, args []string) ([]string, error) {
	if len(args) < 2 || args[len(args)-1] == completionFlag {
		return args, nil
	}
	cmd := app.Command(args[1])
	switch {
	case args[1] == "--version": // what most programs have
		return arrange(app, slices.Concat(args[:1], []string{"version"}, args[2:]))
	case cmd != nil:
	case strings.HasPrefix(args[1], "-") && !slices.Contains(helpFlags, args[1]):
		return nil, unknownRootFlag(app, args[1])
	default:
		return args, nil
	}
	flags, rest, err := separate(cmd, args[2:])
	if err != nil {
		return nil, err
	}
	if slices.Equal(flags, []string{"--help"}) {
		return []string{args[0], args[1], "--help"}, nil // the library would take an argument beside it for a topic
	}
	return slices.Concat(args[:2], flags, []string{"--"}, rest), nil
}

// separate returns the flags of cmd, with their values, and the rest of the words. Where help
// is asked for that is the only flag. One of two values would be lost, so a flag with one value is given once.
func separate(cmd *cli.Command, words []string) (flags, rest []string, err error) {
	given := make(map[cli.Flag]bool)
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "--":
			return flags, append(rest, words[i+1:]...), nil
		case slices.Contains(helpFlags, word):
			return []string{"--help"}, nil, nil
		case word == "-" || !strings.HasPrefix(word, "-"):
			rest = append(rest, word)
			continue
		}
		flags = append(flags, word)
		flag, takesValue, err := findFlag(cmd, word)
		if err != nil {
			return nil, nil, err
		}
		if _, many := flag.(*cli.StringSliceFlag); flag != nil && !many {
			if given[flag] {
				return nil, nil, usagef("%s: %s is given twice, and has one value", cmd.Name, dashed(flag.Names()[0]))
			}
			given[flag] = true
		}
		if takesValue {
			if i++; i == len(words) {
				return nil, nil, usagef("flag %s needs a value", word)
			}
			flags = append(flags, words[i])
		}
	}
	return flags, rest, nil
}

func unknownRootFlag(app *cli.App, arg string) error {
	err := usagef("unknown flag %q", arg)
	if name := strings.TrimLeft(arg, "-"); app.Command(name) != nil { // --verify
		return withHint(err, "did you mean \"goferry %s\"?", name)
	}
	return withHint(err, "a command comes first; list them with \"goferry help\"")
}

// findFlag returns the flag of arg, nil for help, and whether the next word is its value.
func findFlag(cmd *cli.Command, arg string) (flag cli.Flag, takesValue bool, err error) {
	name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	names := []string{"help"}
	for _, f := range cmd.Flags {
		for _, n := range f.Names() {
			if n == name {
				doc, ok := f.(cli.DocGenerationFlag)
				return f, !hasValue && ok && doc.TakesValue(), nil
			}
			names = append(names, n)
		}
	}
	err = usagef("%s: unknown flag %q", cmd.Name, dashed(name))
	if near := nearest(name, names); near != "" {
		return nil, false, withHint(err, "did you mean %q?", dashed(near))
	}
	return nil, false, withHint(err, "list the flags with \"goferry help %s\"", cmd.Name)
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// nearest returns the candidate that word was most likely meant to be, or "" if none is
// like it. The library's own suggestion always names one, however far.
func nearest(word string, candidates []string) string {
	best, bestDistance := "", 1+len(word)/3
	for _, c := range candidates {
		if len(c) < 2 {
			continue // one letter is near to everything short
		}
		if d := distance(word, c); d < bestDistance || d == bestDistance && best == "" {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with the next one.
func distance(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
