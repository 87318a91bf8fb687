package bundle

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
)

// A layerProof proves the files that were unpacked from one layer, by their bytes: the three files of a module make its
// layer again, which has a digest, and the sum of a toolchain is that of its module zip. What was extracted besides has to
// be what the zip has.
type layerProof struct {
	root *os.Root // of the generation
	l    proofLayer
	m    module.Version
	base string // of the module's files, without extension
	left map[string]bool
}

// proveFiles returns why the files are not those of the layer.
func proveFiles(ctx context.Context, root *os.Root, l proofLayer, was stateLayer, extract bool) error {
	m, _ := layerModule(l.desc)
	name, err := moduleFile(m, "")
	if err != nil {
		return err
	}
	if len(was.Files) == 0 || !untouched(root, ".", was.Files) {
		return errors.New("its files are not as they were written")
	}
	p := &layerProof{root: root, l: l, m: m, base: genDownload + strings.TrimPrefix(name, downloadDir), left: make(map[string]bool)}
	for _, f := range was.Files {
		p.left[f.Name] = true
	}
	if layerKind(l.desc) == kindToolchain {
		err = p.toolchain()
	} else {
		err = p.module()
	}
	if err == nil && (extract && layerKind(l.desc) != kindToolchain || was.GOROOT) {
		err = p.extracted(ctx)
	}
	if err == nil && len(p.left) > 0 {
		err = fmt.Errorf("%d files do not belong to it", len(p.left))
	}
	return err
}

// module makes the layer again.
func (p *layerProof) module() error {
	info, mod, err := p.small()
	if err != nil {
		return err
	}
	f, size, err := p.openZip()
	if err != nil {
		return err
	}
	defer f.Close()
	head, tail, err := moduleTar(p.m, info, mod, size)
	if err != nil {
		return err
	}
	h := sha256.New()
	h.Write(head)
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	h.Write(tail)
	if got := digest.NewDigest(digest.SHA256, h); got != p.l.desc.Digest {
		return fmt.Errorf("its files make the layer %s", got)
	}
	return nil
}

// toolchain proves the module zip that was given back.
func (p *layerProof) toolchain() error {
	info, mod, err := p.small()
	if err != nil {
		return err
	}
	if err := checkToolchainContent(moduleContent{info: info, mod: mod}, p.m.Version); err != nil {
		return err
	}
	delete(p.left, p.base+".zip")
	sum, err := dirhash.HashZip(filepath.Join(p.root.Name(), filepath.FromSlash(p.base+".zip")), dirhash.Hash1)
	if want := p.l.desc.Annotations[AnnotationSum]; err == nil && sum != want {
		err = fmt.Errorf("its zip has the sum %s, not %s", sum, want)
	}
	return err
}

// small reads the files beside the zip.
func (p *layerProof) small() (info, mod []byte, err error) {
	if info, err = p.read(".info"); err != nil {
		return nil, nil, err
	}
	mod, err = p.read(".mod")
	return info, mod, err
}

func (p *layerProof) read(ext string) ([]byte, error) {
	delete(p.left, p.base+ext)
	return p.root.ReadFile(p.base + ext)
}

func (p *layerProof) open(name string) (*os.File, error) {
	delete(p.left, name)
	return p.root.Open(name)
}

// openZip opens the zip, and returns how large it is.
func (p *layerProof) openZip() (*os.File, int64, error) {
	f, err := p.open(p.base + ".zip")
	if err != nil {
		return nil, 0, err
	}
	stat, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, stat.Size(), nil
}

// extracted compares what lies unpacked with the zip, which has been proven.
func (p *layerProof) extracted(ctx context.Context) error {
	f, size, err := p.openZip()
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zip.NewReader(f, size)
	if err != nil {
		return err
	}
	goroot := layerKind(p.l.desc) == kindToolchain
	if !goroot {
		sum, err := p.read(".ziphash")
		if err != nil || string(sum) != p.l.desc.Annotations[AnnotationSum] {
			return errors.Join(err, errors.New("its .ziphash is another"))
		}
	}
	for _, entry := range z.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, name := range p.places(strings.TrimPrefix(entry.Name, p.m.String()+"/"), goroot) {
			if err := p.compare(entry, name); err != nil {
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

func (p *layerProof) compare(entry *zip.File, name string) error {
	want, err := entry.Open()
	if err != nil {
		return err
	}
	defer want.Close()
	got, err := p.open(name)
	if err != nil {
		return err
	}
	defer got.Close()
	same, err := sameBytes(want, got)
	if err == nil && !same {
		err = fmt.Errorf("%s is not what the zip has", name)
	}
	return err
}

func sameBytes(a, b io.Reader) (bool, error) {
	var bufA, bufB [64 << 10]byte
	for {
		n, errA := io.ReadFull(a, bufA[:])
		m, errB := io.ReadFull(b, bufB[:])
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
