package bundle

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"strings"
)

// extracted compares what lies unpacked with the zip, which has been proven.
func (p *layerProof) extracted(ctx context.Context, goroot bool, f *os.File, size int64) error {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return err
	}
	if !goroot {
		sum, err := p.read(p.base+".ziphash", maxInfo)
		if err != nil {
			return err
		}
		if sum != nil && string(sum) != p.l.desc.Annotations[AnnotationSum] {
			p.bad(p.base+".ziphash", errors.New("it is another one"))
		}
	}
	u := unpackers.Get().(*unzipper)
	defer unpackers.Put(u)
	for _, entry := range z.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		if entry.Mode().IsDir() {
			continue
		}
		for _, name := range p.places(strings.TrimPrefix(entry.Name, p.m.String()+"/"), goroot) {
			if err := p.compare(u, f, entry, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// places are where a file of the zip lies. A toolchain's go.mod files are called _go.mod in its zip.
func (p *layerProof) places(file string, goroot bool) []string {
	renamed := file
	if dir, base := path.Split(file); p.m.Path == toolchainPath && base == "_go.mod" {
		renamed = dir + "go.mod"
	}
	if goroot && file == "go.env" {
		return nil // goferry writes another
	}
	if goroot {
		return []string{path.Join(genGo, renamed)}
	}
	dir, _, _ := strings.Cut(strings.TrimPrefix(p.base, genDownload), "/@v/")
	dir = path.Join(genMod, dir+"@"+path.Base(p.base))
	if renamed == file {
		return []string{path.Join(dir, file)}
	}
	return []string{path.Join(dir, file), path.Join(dir, renamed)}
}

func (p *layerProof) compare(u *unzipper, zipFile io.ReaderAt, entry *zip.File, name string) error {
	got, err := p.open(name)
	if got == nil {
		return err
	}
	defer got.Close()
	want, err := u.open(zipFile, entry)
	if err != nil {
		return err
	}
	defer want.Close()
	same, err := p.sameBytes(want, got)
	if err == nil && !same {
		p.bad(name, errors.New("it is not what the zip has"))
	}
	return err
}

func (p *layerProof) sameBytes(a, b io.Reader) (bool, error) {
	if p.buffers[0] == nil {
		const size = 64 << 10
		p.buffers = [2][]byte{make([]byte, size), make([]byte, size)}
	}
	bufA, bufB := p.buffers[0], p.buffers[1]
	for {
		n, errA := io.ReadFull(a, bufA)
		m, errB := io.ReadFull(b, bufB)
		if n != m || !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
		end := errA == io.EOF || errA == io.ErrUnexpectedEOF
		if errA != nil && !end {
			return false, errA
		}
		if errB != nil && errB != io.EOF && errB != io.ErrUnexpectedEOF {
			return false, errB
		}
		if end {
			return true, nil
		}
	}
}
