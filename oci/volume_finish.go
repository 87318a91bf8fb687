package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"github.com/opencontainers/go-digest"
)

// complete makes a layout a volume.
func (w *volumeWriter) complete(ctx context.Context, volume int) (err error) {
	l, err := w.create(ctx, volume)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	list := *w.list
	list.Volume = volume
	data, err := list.bytes()
	if err != nil {
		return err
	}
	files := w.files(volume)
	files[volumeFile] = digest.FromBytes(data)
	for _, name := range []string{layoutFile, indexFile} {
		content, err := l.readFile(name, maxIndex)
		if err != nil {
			return err
		}
		files[name] = digest.FromBytes(content)
	}
	if err := l.refuseOthers(files); err != nil {
		return err
	}
	return l.stage(ctx, func(*os.File) error {
		err := l.staging.replace(sumsFile, sums(files))
		if err == nil {
			err = l.staging.replace(volumeFile, data)
		}
		return err
	})
}

// files are the blobs and parts that are on a volume.
func (w *volumeWriter) files(volume int) map[string]digest.Digest {
	files := map[string]digest.Digest{}
	for _, n := range w.documents {
		files[blobPath(n.Descriptor.Digest)] = n.Descriptor.Digest
	}
	for _, b := range w.list.Blobs {
		if b.Volume == volume {
			files[blobPath(b.Digest)] = b.Digest
		}
		for i, p := range b.Parts {
			if p.Volume == volume {
				files[partPath(b.Digest, i)] = p.Digest
			}
		}
	}
	return files
}

// refuseOthers refuses a volume with blobs that are not of it.
func (l *layout) refuseOthers(files map[string]digest.Digest) error {
	for _, dir := range []string{blobDir, partDir} {
		entries, err := fs.ReadDir(l.root.FS(), dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return local(err)
		}
		for _, e := range entries {
			if name := path.Join(dir, e.Name()); files[name] == "" {
				return mark(ErrNotLayout, fmt.Errorf("%s has %s, which does not belong to the volume: remove it", l.dir, name))
			}
		}
	}
	return nil
}

// sums lists the files as sha256sum does.
func sums(files map[string]digest.Digest) []byte {
	var lines bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&lines, "%s  %s\n", files[name].Encoded(), name)
	}
	return lines.Bytes()
}
