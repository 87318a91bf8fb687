package bundle

import (
	"archive/tar"
	"bytes"
	"io"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
)

// epoch is the time of every entry of every layer.
var epoch = time.Unix(0, 0)

// moduleFile returns the name below the root of a module's file with the given extension.
func moduleFile(m module.Version, ext string) (string, error) {
	path, version, err := escaped(m)
	if err != nil {
		return "", err
	}
	return downloadDir + path + "/@v/" + version + ext, nil
}

// escaped returns path and version of a module in the form they have in file names.
func escaped(m module.Version) (path, version string, err error) {
	if path, err = module.EscapePath(m.Path); err != nil {
		return "", "", err
	}
	version, err = module.EscapeVersion(m.Version)
	return path, version, err
}

func writeTarFile(tw *tar.Writer, name string, data []byte) error {
	if err := tw.WriteHeader(tarFile(name, int64(len(data)))); err != nil {
		return err
	}
	_, err := tw.Write(data)
	return err
}

const (
	tarBlock = 512
	tarEnd   = 2 * tarBlock // behind the last file of a tar, in bytes
)

func tarFile(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: epoch}
}

// moduleTar lays out a module layer around its zip: what stands before the zip's bytes and
// what stands behind them.
func moduleTar(m module.Version, info, mod []byte, zipSize int64) (head, tail []byte, err error) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, f := range []struct {
		ext  string
		data []byte
	}{{".info", info}, {".mod", mod}} {
		name, err := moduleFile(m, f.ext)
		if err != nil {
			return nil, nil, err
		}
		if err := writeTarFile(tw, name, f.data); err != nil {
			return nil, nil, err
		}
	}
	name, err := moduleFile(m, ".zip")
	if err != nil {
		return nil, nil, err
	}
	if err := tw.WriteHeader(tarFile(name, zipSize)); err != nil {
		return nil, nil, err
	}
	pad := (tarBlock - zipSize%tarBlock) % tarBlock
	return b.Bytes(), make([]byte, pad+tarEnd), nil
}

// goModSum returns the "h1:" sum of a go.mod file, as the "/go.mod" lines of go.sum have it.
func goModSum(mod []byte) (string, error) {
	return dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(mod)), nil
	})
}
