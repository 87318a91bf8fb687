package gomod

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// toolFormat changes whenever a tool would be built in another way.
const toolFormat = "goferry tool 1"

// kept is the name of the file that keeps a tool; "" if none are kept.
func (b *toolBuilder) kept(p Platform) string {
	if b.user.kept == "" {
		return ""
	}
	s := newSources()
	s.add(toolFormat, b.tool.path, b.tool.module.Path, b.tool.module.Version, b.goVersion, p.OS, p.Arch)
	return filepath.Join(filepath.Dir(b.user.kept), "tools", s.sum())
}

// recall copies a kept tool to the file to, and says whether there is one, as it was kept.
func (b *toolBuilder) recall(p Platform, to string) bool {
	f, err := os.Open(b.kept(p))
	if err != nil {
		return false
	}
	defer f.Close()
	line := make([]byte, len(sumLine(nil)))
	if _, err := io.ReadFull(f, line); err != nil || os.MkdirAll(filepath.Dir(to), 0o755) != nil {
		return false
	}
	out, err := os.Create(to)
	if err != nil {
		return false
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, h), f)
	return errors.Join(err, out.Close()) == nil && string(line) == hex.EncodeToString(h.Sum(nil))+"\n"
}

// keep keeps an executable, below a line with its SHA-256. Failure costs the next capture time, and nothing else.
func (b *toolBuilder) keep(p Platform, executable string) {
	name := b.kept(p)
	if name == "" || os.MkdirAll(filepath.Dir(name), 0o700) != nil {
		return
	}
	f, err := os.Open(executable)
	if err != nil {
		return
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return
	}
	writeWhole(name, io.MultiReader(strings.NewReader(fmt.Sprintf("%x\n", h.Sum(nil))), f))
}
