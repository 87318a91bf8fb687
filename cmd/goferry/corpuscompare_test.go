package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// An answers is where the files of a GOPROXY are asked for by name.
type answers func(name string) ([]byte, error)

// compare holds what is answered for the modules, and for queries, against the corpus.
func (c *corpus) compare(t *testing.T, carried []module.Version, answer answers) {
	t.Helper()
	for _, m := range carried {
		for _, ext := range []string{".info", ".mod", ".zip"} {
			c.compareFile(t, corpusName(t, m)+ext, answer)
		}
	}
	for path, list := range versions(carried) {
		compareQueries(t, path, list, answer)
	}
	for _, name := range slices.AppendSeq(slices.Collect(maps.Keys(notPacked)), maps.Keys(queries)) {
		path, version, _ := strings.Cut(name, "@")
		if got, err := answer(corpusName(t, module.Version{Path: path, Version: version}) + ".zip"); err == nil {
			t.Errorf("%s is not carried, and has a zip of %d bytes", name, len(got))
		}
	}
}

func (c *corpus) compareFile(t *testing.T, name string, answer answers) {
	t.Helper()
	got, err := answer(name)
	if err == nil {
		err = c.same(name, got)
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// compareQueries holds list and @latest of a module against the versions that it has.
func compareQueries(t *testing.T, path string, versions []string, answer answers) {
	t.Helper()
	latest := corpusName(t, module.Version{Path: path, Version: latestOf(versions)})
	dir, _, _ := strings.Cut(latest, "/@v/")
	info, infoErr := answer(latest + ".info")
	got, err := answer(dir + "/@latest")
	if errors.Join(infoErr, err) != nil || !bytes.Equal(got, info) {
		t.Errorf("%s/@latest is %q, %v; %s.info is %q, %v", dir, got, err, latest, info, infoErr)
	}
	want := slices.DeleteFunc(slices.Clone(versions), func(v string) bool { return !isListed(path, v) })
	got, err = answer(dir + "/@v/list")
	if slices.Sort(want); err != nil || !slices.Equal(slices.Sorted(strings.FieldsSeq(string(got))), want) {
		t.Errorf("%s/@v/list is %q, %v; want %v", dir, got, err, want)
	}
}

// isListed says whether a version belongs in the list of its module.
func isListed(path, version string) bool {
	return !module.IsPseudoVersion(version) && module.Check(path, version) == nil
}

// same compares an answer with the file of the corpus.
func (c *corpus) same(name string, got []byte) error {
	want, err := os.ReadFile(filepath.Join(c.dir, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	if !strings.HasSuffix(name, ".info") {
		if !bytes.Equal(got, want) {
			return errors.New("not what the corpus has")
		}
		return nil
	}
	type info struct {
		Version string
		Time    time.Time
	}
	var a, b info
	if err := errors.Join(json.Unmarshal(got, &a), json.Unmarshal(want, &b)); err != nil {
		return err
	}
	if a.Version != b.Version || !a.Time.Equal(b.Time) {
		return errors.New(string(got) + " is not " + string(want))
	}
	return nil
}

// compareFiles holds that there is nothing of a module in the tree but what the corpus has.
func (c *corpus) compareFiles(t *testing.T, tree string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(tree), ".", func(name string, d fs.DirEntry, err error) error {
		if name == "sumdb" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || strings.HasSuffix(name, "/@latest") || strings.HasSuffix(name, "/@v/list") {
			return err
		}
		got, err := os.ReadFile(filepath.Join(tree, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		if err := c.same(name, got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// latestOf is the answer to @latest by "go help goproxy" and https://go.dev/ref/mod#goproxy-protocol.
func latestOf(versions []string) string {
	for _, kind := range []func(v string) bool{
		func(v string) bool { return semver.Prerelease(v) == "" },
		func(v string) bool { return !module.IsPseudoVersion(v) },
		semver.IsValid,
	} {
		list := slices.DeleteFunc(slices.Clone(versions), func(v string) bool { return !kind(v) })
		if len(list) > 0 {
			return slices.MaxFunc(list, semver.Compare)
		}
	}
	return ""
}

// corpusName is the name of a module's files without what they end with.
func corpusName(t *testing.T, m module.Version) string {
	t.Helper()
	path, err := module.EscapePath(m.Path)
	if err != nil {
		t.Fatal(err)
	}
	version, err := module.EscapeVersion(m.Version)
	if err != nil {
		t.Fatal(err)
	}
	return path + "/@v/" + version
}

// versions sorts modules by their path.
func versions(modules []module.Version) map[string][]string {
	byPath := make(map[string][]string)
	for _, m := range modules {
		byPath[m.Path] = append(byPath[m.Path], m.Version)
	}
	return byPath
}
