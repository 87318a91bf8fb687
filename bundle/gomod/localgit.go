package gomod

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// elsewhere is what tells git of a repository other than the one that the directory is in, as in a hook.
var elsewhere = []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"}

// gitTracks returns the files below dir that git tracks; nil where dir is in no git repository. The repository may be
// anybody's, and its settings name no command that is run here: fsmonitor tells of changes that nobody asks for, and
// nothing is fetched that the repository lacks.
func (g *goCommand) gitTracks(dir string) (map[string]bool, error) {
	if !inGit(dir) {
		return nil, nil
	}
	cmd := exec.Command("git", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never", "ls-files", "-z", "--cached")
	cmd.Dir = dir
	cmd.Env = append(slices.DeleteFunc(slices.Clone(g.env), func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return slices.Contains(elsewhere, name)
	}), "GIT_NO_LAZY_FETCH=1", "PWD="+dir)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, oneLine(string(exit.Stderr)))
	}
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	tracked := make(map[string]bool)
	for name := range strings.SplitSeq(string(out), "\x00") {
		tracked[name] = true
	}
	return tracked, nil
}

func inGit(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}
