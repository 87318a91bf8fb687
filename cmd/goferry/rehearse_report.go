package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/rehearse"
)

// rehearsalJSON is what rehearse --format json prints.
type rehearsalJSON struct {
	Digest    digest.Digest      `json:"digest"`
	GoVersion string             `json:"goVersion,omitempty"`
	Isolation string             `json:"isolation"` // "namespaces" or "settings"
	Dir       string             `json:"dir,omitempty"`
	Commands  []commandJSON      `json:"commands"`
	Missing   []rehearse.Missing `json:"missing"`
}

type commandJSON struct {
	Dir      string   `json:"dir"`
	Module   string   `json:"module,omitempty"`
	Args     []string `json:"args"`
	ExitCode int      `json:"exitCode"`
	Signal   string   `json:"signal,omitempty"`
	Skipped  string   `json:"skipped,omitempty"`
}

// miss adds what a command lacked, each thing once, with all of its files.
func (r *rehearsalRun) miss(list []rehearse.Missing) {
	for _, m := range list {
		i := slices.IndexFunc(r.missing, func(known rehearse.Missing) bool { return known.String() == m.String() })
		if i < 0 {
			r.missing = append(r.missing, m)
			continue
		}
		files := append(r.missing[i].Files, m.Files...)
		slices.Sort(files)
		r.missing[i].Files = slices.Compact(files)
	}
}

// result is what came of it, for programs. The directory is named if it is kept.
func (r *rehearsalRun) result(keep bool) rehearsalJSON {
	out := rehearsalJSON{
		Digest: r.r.Bundle.Digest, GoVersion: r.r.Bundle.GoVersion, Isolation: r.r.Isolation.String(),
		Commands: r.commands, Missing: slices.Concat([]rehearse.Missing{}, r.missing),
	}
	if keep {
		out.Dir = r.r.Dir
	}
	return out
}

// failure returns the error that the failures of the commands amount to.
func (r *rehearsalRun) failure() error {
	var failed []error
	for _, c := range r.commands {
		if c.ExitCode != 0 || c.Signal != "" {
			failed = append(failed, fmt.Errorf("rehearse: %s: %s", strings.Join(c.Args, " "), ending(c.ExitCode, c.Signal)))
		}
	}
	if len(failed) == 0 {
		return nil
	}
	if len(r.missing) == 0 {
		return withHint(errors.Join(failed...), "the bundle had all that was asked for: see what the command says")
	}
	var flags []string
	for _, m := range r.missing {
		if !slices.Contains(flags, m.Flag) {
			flags = append(flags, m.Flag)
		}
		failed = append(failed, fmt.Errorf("%w: %s is not in it%s", bundle.ErrIncomplete, m, filesOf(m)))
	}
	return withHint(errors.Join(failed...), "pack it again with %s", strings.Join(flags, " "))
}

// filesOf says what of a module version was asked for in vain.
func filesOf(m rehearse.Missing) string {
	if len(m.Files) == 0 {
		return ""
	}
	return " (" + strings.Join(m.Files, ", ") + ")"
}
