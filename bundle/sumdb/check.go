package sumdb

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb"
)

// An Expect is a module version with the sums it is expected to have; an empty
// one is not compared.
type Expect struct {
	Path, Version string
	Sum, ModSum   string
}

// A CheckError names the module version for which a check failed.
type CheckError struct {
	Path, Version string
	Err           error
}

func (e *CheckError) Error() string {
	return fmt.Sprintf("checksum database: %s@%s: %v", e.Path, e.Version, e.Err)
}

func (e *CheckError) Unwrap() error { return e.Err }

// Check does what a go command without a network will do with the files of
// the database whose verifier key is given (see [VerifierKey]): it proves the
// record of each module, and compares. The error is a [CheckError]: that of
// files if one could not be read, and [ErrSecurity] otherwise.
func Check(files func(name string) ([]byte, error), verifierKey string, mods []Expect) error {
	ops := &replayOps{files: files, key: verifierKey}
	client := sumdb.NewClient(ops)
	for _, m := range mods {
		if err := checkModule(client, m); err != nil {
			return &CheckError{m.Path, m.Version, ops.explain(err)}
		}
	}
	return nil
}

func checkModule(client *sumdb.Client, m Expect) error {
	sum, err := lookupSum(client, m.Path, m.Version)
	if err != nil {
		return err
	}
	modSum, err := lookupSum(client, m.Path, m.Version+"/go.mod")
	if err != nil {
		return err
	}
	if m.Sum != "" && m.Sum != sum {
		return fmt.Errorf("%w: the zip is %s, recorded is %s", ErrSecurity, m.Sum, orNone(sum))
	}
	if m.ModSum != "" && m.ModSum != modSum {
		return fmt.Errorf("%w: the go.mod is %s, recorded is %s", ErrSecurity, m.ModSum, orNone(modSum))
	}
	return nil
}

func orNone(sum string) string {
	if sum == "" {
		return "none"
	}
	return sum
}

// explain finds the kind of an error; see lookupOps.explain.
func (o *replayOps) explain(err error) error {
	switch {
	case errors.Is(err, ErrSecurity):
		return err
	case o.security != "":
		return fmt.Errorf("%w: %s", ErrSecurity, o.security)
	case o.missing != nil:
		return o.missing
	}
	return fmt.Errorf("%w: %w", ErrSecurity, err)
}

// replayOps is a database that consists of files and nothing else.
type replayOps struct {
	files func(name string) ([]byte, error)
	key   string

	mu       sync.Mutex
	missing  error // the first error of files
	security string
}

func (o *replayOps) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(o.key), nil
	}
	return nil, nil
}

func (o *replayOps) WriteConfig(string, []byte, []byte) error { return nil }
func (o *replayOps) ReadCache(string) ([]byte, error)         { return nil, fs.ErrNotExist }
func (o *replayOps) WriteCache(string, []byte)                {}
func (o *replayOps) Log(string)                               {}
func (o *replayOps) SecurityError(msg string)                 { o.security = msg }

// ReadRemote cuts a partial tile from the full one where there is only that,
// as the client would do itself: then nothing is missing.
func (o *replayOps) ReadRemote(path string) ([]byte, error) {
	data, err := o.files(strings.TrimPrefix(path, "/"))
	if full, w := fullTile(path); err != nil && full != "" {
		if data, err := o.files(strings.TrimPrefix(full, "/")); err == nil {
			return data[:len(data)>>tileHeight*w], nil
		}
	}
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.missing == nil {
			o.missing = err
		}
	}
	return data, err
}
