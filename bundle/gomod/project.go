package gomod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// A mainModule is what one round of go commands looks at.
type mainModule struct {
	name string // for people
	dir  string
	file []byte // go.mod, as the go commands are to see it
}

// A workspace is a go.work file and the directories it uses.
type workspace struct {
	file    string
	work    *modfile.WorkFile
	members []string
	absent  map[module.Version]string // what members require of each other and nobody has, and the directory that it is in
}

// findProjects finds the main modules and the workspaces of dirs, each once,
// and notes their files in c.
func (g *goCommand) findProjects(ctx context.Context, dirs []string, c *Captured) ([]mainModule, []workspace, error) {
	var roots, works []string // directories of go.mod, go.work files
	var spaces []workspace
	for _, dir := range dirs {
		mod, work, err := g.locate(ctx, dir)
		if err != nil {
			return nil, nil, err
		}
		if work != "" && !slices.Contains(works, work) {
			works = append(works, work)
			w, err := readWorkspace(work, c)
			if err != nil {
				return nil, nil, err
			}
			g.warnOutside(w.work.Replace, filepath.Dir(work), filepath.Dir(work))
			spaces = append(spaces, w)
			roots = append(roots, w.members...)
		}
		if mod != "" {
			roots = append(roots, filepath.Dir(mod))
		}
	}
	slices.Sort(roots)
	var mains []mainModule
	for _, root := range slices.Compact(roots) {
		m, err := g.readProject(root, spaces, c)
		if err != nil {
			return nil, nil, err
		}
		mains = append(mains, m)
	}
	slices.SortFunc(c.Projects, func(a, b Project) int { return strings.Compare(a.Path, b.Path) })
	return mains, spaces, nil
}

// locate returns the go.mod and the go.work file which are in force in dir.
func (g *goCommand) locate(ctx context.Context, dir string) (mod, work string, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", "", fmt.Errorf("capture %s: %w", dir, err)
	}
	if info, err := os.Stat(abs); errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("capture %s: %w: %w", dir, ErrNoDir, fs.ErrNotExist)
	} else if err != nil {
		return "", "", fmt.Errorf("capture: %w", err)
	} else if !info.IsDir() {
		return "", "", fmt.Errorf("capture %s: %w", dir, ErrNoDir)
	}
	out, err := g.run(ctx, abs, "env", "-json", "GOMOD", "GOWORK")
	if err != nil {
		return "", "", err
	}
	var env struct{ GOMOD, GOWORK string }
	if err := json.Unmarshal(out.stdout, &env); err != nil {
		return "", "", fmt.Errorf("go env -json: %w", err)
	}
	if env.GOMOD == os.DevNull {
		env.GOMOD = ""
	}
	if env.GOWORK == "off" {
		env.GOWORK = ""
	}
	if env.GOMOD == "" && env.GOWORK == "" {
		return "", "", fmt.Errorf("capture %s: %w in it or above it", dir, ErrNoProject)
	}
	return env.GOMOD, env.GOWORK, nil
}

func readWorkspace(file string, c *Captured) (workspace, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return workspace{}, fmt.Errorf("capture: %w", err)
	}
	sum, err := readOptional(file + ".sum")
	if err != nil {
		return workspace{}, err
	}
	work, err := modfile.ParseWork(file, data, nil)
	if err != nil {
		return workspace{}, fmt.Errorf("capture: %w", err)
	}
	w := workspace{file: file, work: work}
	for _, use := range work.Use {
		w.members = append(w.members, absolute(filepath.Dir(file), use.Path))
	}
	c.Projects = append(c.Projects, Project{GoWork: data, GoWorkSum: sum})
	return w, c.addSums(file+".sum", sum)
}

func (g *goCommand) readProject(root string, spaces []workspace, c *Captured) (mainModule, error) {
	name := filepath.Join(root, "go.mod")
	data, err := os.ReadFile(name)
	if err != nil {
		return mainModule{}, fmt.Errorf("capture: %w", err)
	}
	sum, err := readOptional(filepath.Join(root, "go.sum"))
	if err != nil {
		return mainModule{}, err
	}
	f, err := modfile.Parse(name, data, nil)
	if err != nil {
		return mainModule{}, fmt.Errorf("capture: %w", err)
	}
	if f.Module == nil {
		return mainModule{}, fmt.Errorf("capture %s: no module line", name)
	}
	g.warnOutside(f.Replace, root, sourceTree(root, spaces))
	path := f.Module.Mod.Path
	c.Projects = append(c.Projects, Project{Path: path, GoMod: data, GoSum: sum})
	return mainModule{name: path, dir: root, file: data}, c.addSums(filepath.Join(root, "go.sum"), sum)
}

// sourceTree is what whoever carries a project's own source carries: its directory, or that of its workspace.
func sourceTree(root string, spaces []workspace) string {
	for _, w := range spaces {
		if slices.Contains(w.members, root) && inside(root, filepath.Dir(w.file)) {
			return filepath.Dir(w.file)
		}
	}
	return root
}

// warnOutside tells of replacements by directories outside of the source tree top, named in a file in dir.
func (g *goCommand) warnOutside(replace []*modfile.Replace, dir, top string) {
	for _, r := range replace {
		if r.New.Version == "" && !inside(absolute(dir, r.New.Path), top) {
			g.warn(fmt.Sprintf("%s is replaced by %s, which lies outside the project: that is source, which is carried with the project and not captured", r.Old.Path, r.New.Path))
		}
	}
}

// readOptional reads a file that need not exist.
func readOptional(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	return data, nil
}

// absolute returns the directory that path in a go.mod or go.work file in dir means.
func absolute(dir, path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}
