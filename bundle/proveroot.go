package bundle

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// A layerProof proves the files that were unpacked from one layer, by their bytes: the three files of a module make its
// layer again, which has a digest, as does the executable of a tool; and the sum of a toolchain is that of its module zip.
// What was extracted besides has to be what the zip has.
type layerProof struct {
	root     *os.Root // of the generation
	l        proofLayer
	m        module.Version
	base     string               // of the module's files, without extension
	left     map[string]stateFile // that nothing has accounted for yet
	wrong    map[string]bool
	problems []FileProblem
	at       string // the file that was opened last
	buffers  [2][]byte
}

// proveFiles returns which files are not those of the layer. A file that cannot be read is one of them.
func proveFiles(ctx context.Context, root *os.Root, l proofLayer, was stateLayer, extract bool) ([]FileProblem, error) {
	p := &layerProof{root: root, l: l, left: make(map[string]stateFile), wrong: make(map[string]bool)}
	if len(was.Files) == 0 {
		p.bad(genState, errors.New("it does not say which files there are"))
		return p.problems, nil
	}
	for _, f := range was.Files {
		if _, twice := p.left[f.Name]; twice {
			p.bad(genState, fmt.Errorf("it names %s twice", f.Name))
		}
		p.left[f.Name] = f
		if problem := lookAt(root, f); problem != nil {
			problem.Module = layerName(l.desc)
			p.problems, p.wrong[f.Name] = append(p.problems, *problem), true
		}
	}
	if err := p.prove(ctx, was, extract); ctx.Err() != nil {
		return nil, ctx.Err()
	} else if err != nil {
		p.bad(p.at, err)
		clear(p.left)
	}
	for name := range p.left {
		p.problems = append(p.problems, FileProblem{name, layerName(l.desc), FileForeign, "it does not belong to it"})
	}
	sortProblems(p.problems)
	return p.problems, nil
}

func (p *layerProof) prove(ctx context.Context, was stateLayer, extract bool) error {
	kind := layerKind(p.l.desc)
	if kind == kindTool {
		return p.tool(ctx, was)
	}
	p.m, _ = layerModule(p.l.desc)
	name, err := moduleFile(p.m, "")
	if err != nil {
		return err
	}
	p.base = genDownload + strings.TrimPrefix(name, downloadDir)
	f, size, err := p.openZip()
	if err != nil {
		return err
	}
	if f != nil {
		defer f.Close()
	}
	whole, err := p.module(ctx, kind, f, size)
	if err != nil || !was.GOROOT && (!extract || kind == kindToolchain) {
		return err
	}
	if !whole {
		clear(p.left) // no zip tells what they have to be
		return nil
	}
	return p.extracted(ctx, kind == kindToolchain, f, size)
}

func (p *layerProof) bad(name string, err error) {
	p.problems, p.wrong[name] = append(p.problems, FileProblem{name, layerName(p.l.desc), FileDamaged, err.Error()}), true
}

// open opens a file that looks right; nil: it is known not to be.
func (p *layerProof) open(name string) (*os.File, error) {
	if _, ok := p.left[name]; !ok && !p.wrong[name] {
		p.problems, p.wrong[name] = append(p.problems, FileProblem{name, layerName(p.l.desc), FileMissing, "it was not unpacked"}), true
	}
	delete(p.left, name)
	p.at = name
	if p.wrong[name] {
		return nil, nil
	}
	return p.root.Open(name)
}

// read returns a small file; nil: it is known not to be right.
func (p *layerProof) read(name string, most int64) ([]byte, error) {
	f, err := p.open(name)
	if f == nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		p.bad(name, fmt.Errorf("it has more than %d bytes", most))
		return nil, nil
	}
	return data, err
}

// openZip opens the zip, and returns how large it is.
func (p *layerProof) openZip() (*os.File, int64, error) {
	f, err := p.open(p.base + ".zip")
	if f == nil {
		return nil, 0, err
	}
	stat, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, stat.Size(), nil
}

// module proves the three files of a module, and says whether the zip is right.
func (p *layerProof) module(ctx context.Context, kind int, f *os.File, size int64) (bool, error) {
	info, err := p.read(p.base+".info", maxInfo)
	if err != nil {
		return false, err
	}
	mod, err := p.read(p.base+".mod", maxGoMod)
	if err != nil {
		return false, err
	}
	if kind != kindToolchain && info != nil && mod != nil && f != nil {
		same, err := p.isLayer(ctx, info, mod, f, size)
		if same || err != nil {
			return same, err
		}
	}
	return p.each(kind, info, mod, f, size), ctx.Err()
}

// isLayer says whether the three files make the layer.
func (p *layerProof) isLayer(ctx context.Context, info, mod []byte, f *os.File, size int64) (bool, error) {
	head, tail, err := moduleTar(p.m, info, mod, size)
	if err != nil {
		return false, err
	}
	h := sha256.New()
	h.Write(head)
	if _, err := copyAll(ctx, h, io.LimitReader(f, size)); err != nil {
		return false, err
	}
	h.Write(tail)
	return digest.NewDigest(digest.SHA256, h) == p.l.desc.Digest, nil
}

// each judges the three files one by one. The .mod file is what the zip has as go.mod, or what stands for that where there
// is none. Where nothing is found it is the zip that has another byte somewhere: it has most of them.
func (p *layerProof) each(kind int, info, mod []byte, f *os.File, size int64) (whole bool) {
	before := len(p.problems)
	want := toolchainContent(p.m.Version)
	if f != nil {
		sum, err := zipSum(p.m, f, size)
		if whole = err == nil && sum == p.l.desc.Annotations[AnnotationSum]; !whole {
			p.bad(p.base+".zip", cmp.Or(err, fmt.Errorf("its sum is %s, not %s", sum, p.l.desc.Annotations[AnnotationSum])))
		}
	}
	if whole && p.m.Path != toolchainPath {
		want.mod = zipGoMod(f, size, p.m)
	}
	if mod != nil && (whole || p.m.Path == toolchainPath) && !bytes.Equal(mod, want.mod) {
		p.bad(p.base+".mod", errors.New("it is another one"))
	}
	switch {
	case info == nil:
	case p.m.Path == toolchainPath && !bytes.Equal(info, want.info):
		p.bad(p.base+".info", errors.New("it is another one"))
	case p.m.Path != toolchainPath && checkInfo(info, p.m.Version) != nil:
		p.bad(p.base+".info", checkInfo(info, p.m.Version))
	case kind != kindToolchain && len(p.problems) == before && mod != nil && f != nil:
		p.bad(p.base+".zip", fmt.Errorf("its files are right, but with those beside it it does not make the layer %s", p.l.desc.Digest))
	}
	return whole
}

// zipGoMod is the .mod file of a proven zip.
func zipGoMod(f *os.File, size int64, m module.Version) []byte {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return nil
	}
	rc, err := z.Open(m.String() + "/go.mod")
	if err != nil {
		return []byte("module " + modfile.AutoQuote(m.Path) + "\n")
	}
	defer rc.Close()
	data, _ := io.ReadAll(io.LimitReader(rc, maxGoMod))
	return data
}

// tool makes the tar of the layer again, whose compressor may have been another.
func (p *layerProof) tool(ctx context.Context, was stateLayer) error {
	pkg, _, _ := layerTool(p.l.desc)
	file, err := toolFile(pkg, p.l.platform)
	if err != nil {
		return err
	}
	name := path.Join(genGo, "bin", path.Base(file))
	f, err := p.open(name)
	if f == nil {
		return err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return err
	}
	head, tail, err := toolTar(file, stat.Size())
	if err != nil {
		return err
	}
	h := sha256.New()
	h.Write(head)
	if _, err := copyAll(ctx, h, f); err != nil {
		return err
	}
	h.Write(tail)
	want, got := cmp.Or(p.l.diffID, was.DiffID), digest.NewDigest(digest.SHA256, h)
	if got != want {
		p.bad(name, fmt.Errorf("its bytes are others than were verified: %s, not %s", got, want))
	}
	return nil
}
