package gomod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

// A round is one go command for one main module.
type round struct {
	g       *goCommand
	main    mainModule
	modfile string // a copy of the main module's go.mod, with go.sum beside it
	set     *set
}

// run runs "go verb… -modfile=… flags…" on a fresh copy of go.mod.
func (r round) run(ctx context.Context, verb []string, flags ...string) (output, error) {
	if err := writeNew(r.modfile, r.main.file); err != nil {
		return output{}, err
	}
	args := append(verb, "-modfile="+r.modfile)
	return r.g.module(ctx, r.main.dir, append(args, flags...)...)
}

func (r round) sumFile() string { return strings.TrimSuffix(r.modfile, ".mod") + ".sum" }

// download takes what "go mod download" says the packages are built from.
func (r round) download(ctx context.Context) error {
	out, err := r.run(ctx, []string{"mod", "download"}, "-json")
	found, failed, err := downloads(out, err)
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		return joinErrors(failed)
	}
	r.set.add(r.set.built, found...)
	r.set.add(r.set.zips, found...)
	changed, err := os.ReadFile(r.modfile)
	if err != nil {
		return err
	}
	return errors.Join(r.set.raise(r.modfile, changed), r.set.addWritten(r.sumFile()))
}

// downloadAll takes what is left of the module graph, if it can be had.
func (r round) downloadAll(ctx context.Context) error {
	out, err := r.run(ctx, []string{"mod", "download"}, "-json", "all")
	found, failed, err := downloads(out, err)
	if err != nil {
		return err
	}
	for _, e := range failed {
		if errors.Is(e, ErrNetwork) {
			return e
		}
		r.g.warn("not captured: " + e.Error())
		r.set.unsettle()
	}
	r.set.add(r.set.zips, found...)
	return r.set.addWritten(r.sumFile())
}

// tidy takes what the tests of dependencies need. An untidy project is
// captured both as it is and as tidy would have it.
func (r round) tidy(ctx context.Context) error {
	out, err := r.run(ctx, []string{"mod", "tidy"}, "-e")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(out.lines, isLookup) {
		r.set.unsettle()
	}
	const shown = 10 // a directory of strangers' code can give thousands
	all := complaints(out.lines)
	for i, complaint := range all {
		// A set that depends on the network's mood is no set.
		if errors.Is(classify(complaint), ErrNetwork) {
			return newCommandError([]string{"mod", "tidy"}, []string{complaint})
		}
		r.set.unsettle()
		if i < shown {
			r.g.warn(r.main.name + ": " + oneLine(strings.TrimPrefix(complaint, "go: ")))
		}
	}
	if more := len(all) - shown; more > 0 {
		r.g.warn(fmt.Sprintf("%s: and %d more of these from go mod tidy", r.main.name, more))
	}
	return r.set.addWritten(r.sumFile())
}

// complaints joins the lines of standard error to one for each complaint.
func complaints(lines []string) []string {
	var all []string
	for _, line := range lines {
		switch {
		case isLookup(line), strings.HasSuffix(line, "matched no packages"):
		case strings.HasPrefix(line, "\t") && len(all) > 0:
			all[len(all)-1] += line
		default:
			all = append(all, line)
		}
	}
	return all
}

// isLookup reports whether the go command tells that it looks for the newest
// version of a module which go.mod does not name.
func isLookup(line string) bool {
	return strings.HasPrefix(line, "go: finding ") || strings.HasPrefix(line, "go: found ")
}

// list takes the .info of every module that version selection arrives at.
//
// Given the go.sum of the other rounds and told to add nothing to it, go list
// shows that their .mod files are enough. On its own it would read the .mod
// of each module as well, twice as many, only to print its go line. An untidy
// project may need that.
func (r round) list(ctx context.Context, others ...round) error {
	var sums []byte
	for _, o := range others {
		data, err := readOptional(o.sumFile())
		if err != nil {
			return err
		}
		sums = append(sums, data...)
	}
	if err := writeNew(r.sumFile(), sums); err != nil {
		return err
	}
	verb := []string{"list", "-m"}
	out, err := r.run(ctx, verb, "-mod=readonly", "-json", "all")
	switch {
	case err == nil:
	case wantsChange(out.lines):
		out, err = r.run(ctx, verb, "-e", "-json", "all")
	default:
		out, err = r.run(ctx, verb, "-e", "-mod=readonly", "-json", "all")
	}
	if err == nil {
		err = r.set.addList(r.g, out)
	}
	if err != nil {
		return err
	}
	return r.set.addWritten(r.sumFile())
}

// wantsChange reports whether the go command complained that it may not change
// go.mod or go.sum. With -e it would leave out modules instead, and not say so.
func wantsChange(lines []string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		return strings.Contains(line, "missing go.sum entry") || strings.Contains(line, "updates to go.mod needed")
	})
}

// download fetches one module, whose version may be a query, into the scratch cache, and returns what it came to.
func (g *goCommand) download(ctx context.Context, arg string) ([]module.Version, error) {
	out, err := g.module(ctx, g.path("idle"), "mod", "download", "-json", arg)
	found, failed, err := downloads(out, err)
	if err == nil {
		err = joinErrors(failed)
	}
	return found, err
}

// downloads sorts what "go mod download -json" printed. Modules that it could
// not get explain its exit status, so that err remains only without them.
func downloads(out output, err error) (found []module.Version, failed []*ModuleError, _ error) {
	results, jsonErr := decodeStream[struct{ Path, Version, Query, Error string }](out.stdout)
	if jsonErr != nil {
		return nil, nil, fmt.Errorf("go mod download -json: %w", jsonErr)
	}
	for _, r := range results {
		if r.Error != "" {
			failed = append(failed, &ModuleError{r.Path, orQuery(r.Version, r.Query), r.Error})
			continue
		}
		found = append(found, module.Version{Path: r.Path, Version: r.Version})
	}
	if err != nil && len(failed) == 0 {
		return nil, nil, err
	}
	return found, failed, nil
}

func orQuery(version, query string) string {
	if version == "" {
		return query
	}
	return version
}
