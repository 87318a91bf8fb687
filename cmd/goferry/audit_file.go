package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/lockedfile"
)

// maxAuditLine is more than a record has, in bytes.
const maxAuditLine = 16 << 20

// appendAudit writes a record at the end of the log, with the digest of the line before it: who changes, removes or
// adds a line has to change all behind it. That is done under a lock, with one write, and durable when it returns. The
// file is opened for each record, so that it may be moved away while a command runs.
func appendAudit(name string, r *auditRecord) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("audit log %s: %w", name, err)
		}
	}()
	f, err := lockedfile.OpenFile(name, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return withoutPath(err)
	}
	defer func() { err = errors.Join(err, withoutPath(f.Close())) }()
	last, cut, err := lastLine(f.File)
	if err != nil {
		return err
	}
	if last != nil {
		r.Previous = digest.FromBytes(last).String()
	}
	line, err := encodeAudit(r)
	if err != nil {
		return err
	}
	if cut { // by a full disk, or a machine that stopped: it stays a line of its own
		line = append([]byte("\n"), line...)
	}
	if _, err := f.Write(line); err != nil {
		return withoutPath(err)
	}
	return withoutPath(f.Sync())
}

func encodeAudit(r *auditRecord) ([]byte, error) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	if line.Len() > maxAuditLine {
		return nil, fmt.Errorf("a record has %d bytes, more than %d", line.Len(), maxAuditLine)
	}
	return line.Bytes(), nil
}

// withoutPath leaves the path out of the error of a file, where it is said anyway.
func withoutPath(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s: %w", path.Op, path.Err)
	}
	return err
}

// lastLine returns the last line without its end, and whether that is missing; nil if there is none.
func lastLine(f *os.File) (line []byte, cut bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, false, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, false, errors.New("it is not a regular file")
	}
	for at := info.Size(); at > 0; {
		if len(line) > maxAuditLine {
			return nil, false, fmt.Errorf("it has a line of more than %d bytes, so it is none of goferry's", maxAuditLine)
		}
		block := make([]byte, min(at, 8<<10))
		at -= int64(len(block))
		if _, err := f.ReadAt(block, at); err != nil {
			return nil, false, withoutPath(err)
		}
		line = append(block, line...)
		if i := bytes.LastIndexByte(line[:len(line)-1], '\n'); i >= 0 {
			line = line[i+1:]
			break
		}
	}
	if line == nil {
		return nil, false, nil
	}
	whole, ended := bytes.CutSuffix(line, []byte("\n"))
	return whole, !ended, nil
}
