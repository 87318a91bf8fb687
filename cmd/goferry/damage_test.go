package main

import (
	"cmp"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/goferry/goferry/bundle"
)

func flipBlob(ts *testscript.TestScript, neg bool, args []string) {
	name := blobFile(ts, args)
	data, err := os.ReadFile(name)
	ts.Check(err)
	data[len(data)/2] ^= 1
	ts.Check(os.Chmod(name, 0o644))
	ts.Check(os.WriteFile(name, data, 0o644))
}

func cutBlob(ts *testscript.TestScript, neg bool, args []string) {
	name := blobFile(ts, args)
	info, err := os.Stat(name)
	ts.Check(err)
	ts.Check(os.Truncate(name, info.Size()-1))
}

func removeBlob(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(os.Remove(blobFile(ts, args)))
}

func silently(ts *testscript.TestScript, neg bool, args []string) {
	name := ts.MkAbs(args[0])
	info, err := os.Stat(name)
	ts.Check(err)
	data, err := os.ReadFile(name)
	ts.Check(err)
	data[len(data)/2] ^= 1
	ts.Check(os.WriteFile(name, data, 0))
	ts.Check(os.Chtimes(name, info.ModTime(), info.ModTime()))
}

func age(ts *testscript.TestScript, neg bool, args []string) {
	then := time.Now().Add(-48 * time.Hour)
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return os.Chtimes(name, then, then)
	}))
}

// blobFile returns the file of a blob of a layout that has one bundle for one platform. The blob is "index", "manifest",
// "config", "graph", "signature" or the name of a module. What leads to it has to be whole.
func blobFile(ts *testscript.TestScript, args []string) string {
	layout, name := ts.MkAbs(args[0]), args[1]
	file := func(d digest.Digest) string { return filepath.Join(layout, "blobs", "sha256", d.Encoded()) }
	var list, index ocispec.Index
	var manifest, signatures ocispec.Manifest
	readJSON(ts, filepath.Join(layout, ocispec.ImageIndexFile), &list)
	tagged := func(signed bool) digest.Digest {
		i := slices.IndexFunc(list.Manifests, func(d ocispec.Descriptor) bool {
			tag := d.Annotations[ocispec.AnnotationRefName]
			return tag != "" && strings.HasPrefix(tag, "sha256-") == signed && (!signed || strings.HasSuffix(tag, ".sig"))
		})
		return list.Manifests[i].Digest
	}
	switch name {
	case "index":
		return file(tagged(false))
	case "signature":
		readJSON(ts, file(tagged(true)), &signatures)
		return file(signatures.Layers[0].Digest)
	}
	readJSON(ts, file(tagged(false)), &index)
	if name == "manifest" {
		return file(index.Manifests[0].Digest)
	}
	readJSON(ts, file(index.Manifests[0].Digest), &manifest)
	if name == "config" {
		return file(manifest.Config.Digest)
	}
	for _, l := range manifest.Layers {
		if cmp.Or(l.Annotations[bundle.AnnotationModule], l.Annotations[bundle.AnnotationLayer]) == name {
			return file(l.Digest)
		}
	}
	ts.Fatalf("%s has no layer of %s", layout, name)
	return ""
}

func readJSON(ts *testscript.TestScript, name string, v any) {
	data, err := os.ReadFile(name)
	ts.Check(err)
	ts.Check(json.Unmarshal(data, v))
}
