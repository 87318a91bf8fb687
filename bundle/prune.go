package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// A PrunedGeneration is one that Prune removed; in a dry run, that it would. Its name is another than a generation's if
// it is what a killed run left.
type PrunedGeneration struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // bytes, without the files that it shares with one that stays
}

// Prune removes the generations of a directory that [Unpack] made, but for keep of them: the current one, the one before
// it, to which [Rollback] goes, and then the newest of the others, which there seldom are, as Unpack itself keeps two.
// What a killed run left goes as well. Who is at work in a generation that is removed loses it.
func Prune(ctx context.Context, dir string, keep int, dryRun bool) ([]PrunedGeneration, error) {
	if _, err := unpackedAt(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	before := &tree{dir: dir, root: root}
	old, err := before.prunable(keep)
	if err != nil || dryRun {
		return old, err
	}
	t, err := openTree(ctx, dir) // which removes what killed runs left
	if err != nil {
		return nil, err
	}
	defer t.close()
	kept, err := t.newest(keep)
	if err != nil {
		return nil, err
	}
	if previous := t.target(linkPrevious); previous != "" && !slices.Contains(kept, previous) {
		if err := t.root.Remove(linkPrevious); err != nil {
			return nil, err
		}
	}
	if err := t.clear(func(name string) bool { return slices.Contains(kept, name) }); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(old, func(g PrunedGeneration) bool {
		_, err := t.root.Lstat(path.Join(dirGenerations, g.Name))
		return err == nil // another run has made it the current one
	}), nil
}

// newest returns the generations to keep.
func (t *tree) newest(keep int) ([]string, error) {
	entries, err := fs.ReadDir(t.root.FS(), dirGenerations)
	if err != nil {
		return nil, err
	}
	names := []string{t.target(linkCurrent)}
	if previous := t.earlier(); previous != "" {
		names = append(names, previous)
	}
	made := make(map[string]int64)
	var others []string
	for _, e := range entries {
		info, err := t.root.Lstat(path.Join(dirGenerations, e.Name(), genState))
		if err != nil || slices.Contains(names, e.Name()) || strings.HasPrefix(e.Name(), stagePrefix) {
			continue
		}
		made[e.Name()] = info.ModTime().UnixNano()
		others = append(others, e.Name())
	}
	slices.SortFunc(others, func(a, b string) int { return int(made[b] - made[a]) })
	names = append(names, others...)
	return names[:min(max(keep, 1), len(names))], nil
}

// prunable returns what Prune removes.
func (t *tree) prunable(keep int) (old []PrunedGeneration, err error) {
	kept, err := t.newest(keep)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(t.root.FS(), dirGenerations)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if slices.Contains(kept, e.Name()) || !t.isOurs(e) {
			continue
		}
		size, err := t.unshared(e.Name(), kept)
		if err != nil {
			return nil, fmt.Errorf("generation %s: %w", e.Name(), err)
		}
		old = append(old, PrunedGeneration{e.Name(), size})
	}
	return old, nil
}

// unshared is the size of the files of a generation that are not files of those that stay. What was linked from one into
// another has the same name there.
func (t *tree) unshared(name string, kept []string) (size int64, err error) {
	dir := path.Join(dirGenerations, name)
	err = fs.WalkDir(t.root.FS(), dir, func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return nil // another run is removing it
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		for _, other := range kept {
			same, err := t.root.Lstat(path.Join(dirGenerations, other, strings.TrimPrefix(file, dir)))
			if err == nil && os.SameFile(same, info) {
				return nil
			}
		}
		size += info.Size()
		return nil
	})
	return size, err
}
