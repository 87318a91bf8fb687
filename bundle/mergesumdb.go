package bundle

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/goferry/goferry/bundle/sumdb"
)

// An UnconnectedError says that the go command could not go from the checksum database as one bundle
// has it to that of another: tiles are missing, which the newer one has if it is packed for that. It is
// [ErrIncomplete].
type UnconnectedError struct {
	Older, Newer string // bundles
	Err          error
}

func (e *UnconnectedError) Error() string {
	return fmt.Sprintf("%v: the checksum database of %s does not connect with that of %s: %v", ErrIncomplete, e.Older, e.Newer, e.Err)
}

func (e *UnconnectedError) Unwrap() []error { return []error{ErrIncomplete, e.Err} }

// database finds the one checksum database of the parts.
func (m *merged) database(parts []part) error {
	var first part
	var firstKey string
	for _, p := range parts {
		if p.record.SumDB == "" {
			continue
		}
		_, key, err := sumdb.VerifierKey(p.record.SumDB)
		if err != nil {
			return err
		}
		if first.record != nil && key != firstKey {
			return conflict("the checksum database", first.name, first.record.SumDB, p.name, p.record.SumDB)
		}
		first, firstKey = p, key
		if db := m.record.SumDB; db == "" || len(p.record.SumDB) < len(db) {
			m.record.SumDB = p.record.SumDB // the name of a known one, with or without its key
		}
	}
	return nil
}

// A knownHead is a signed tree head of the checksum database.
type knownHead struct {
	note []byte
	size int64
	name string // of the bundle
	part part
}

// mergeSumDB lays the files of the checksum database together.
func (m *merged) mergeSumDB(parts []part) error {
	m.sumdb = make(map[string][]byte)
	if m.record.SumDB == "" {
		return nil
	}
	name, key, err := sumdb.VerifierKey(m.record.SumDB)
	if err != nil {
		return err
	}
	dir := sumDBDir(name)
	latest, err := latestHeads(parts, dir, key)
	if err != nil {
		return err
	}
	by := make(map[string]string)
	for _, h := range latest { // the newest first
		for file, data := range h.part.files {
			if path, ok := strings.CutPrefix(file, dir); ok {
				if err := m.addSumDB(file, path, data, h.name, by); err != nil {
					return err
				}
			}
		}
	}
	if err := m.connect(latest, dir, key); err != nil {
		return err
	}
	return m.earlierHeads(latest, dir, key)
}

// latestHeads returns the head of each part, the newest first.
func latestHeads(parts []part, dir, key string) ([]knownHead, error) {
	var heads []knownHead
	for _, p := range parts {
		note, ok := p.files[dir+"latest"]
		if !ok {
			continue // nothing that the database covers, or no database
		}
		size, err := sumdb.HeadSize(note, key)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrMismatch, p.name, err)
		}
		heads = append(heads, knownHead{note, size, p.name, p})
	}
	slices.SortStableFunc(heads, func(a, b knownHead) int { return cmp.Compare(b.size, a.size) })
	return heads, nil
}

// addSumDB adds a file of the bundle from, if no newer one has it. by has the bundles of the files.
func (m *merged) addSumDB(file, path string, data []byte, from string, by map[string]string) error {
	was, ok := m.sumdb[file]
	if !ok {
		m.sumdb[file], by[file] = data, from
		return nil
	}
	same := bytes.Equal(was, data)
	if strings.HasPrefix(path, "lookup/") && !same {
		same = sameLookup(was, data)
	}
	if !same && path != "latest" {
		return fmt.Errorf("%w: the checksum database shows one %s to %s, and another one to %s", ErrMismatch, path, by[file], from)
	}
	return nil
}

// sameLookup says whether two lookups have the same record, under whatever tree head.
func sameLookup(a, b []byte) bool {
	idA, textA, _, errA := tlog.ParseRecord(a)
	idB, textB, _, errB := tlog.ParseRecord(b)
	return errA == nil && errB == nil && idA == idB && bytes.Equal(textA, textB)
}

// connect proves that whoever has seen one of the heads can go to each newer one.
func (m *merged) connect(latest []knownHead, dir, key string) error {
	names := make(map[int64]string)
	var heads [][]byte
	for _, h := range latest {
		names[h.size] = h.name
		heads = append(heads, h.note)
	}
	err := sumdb.Connect(readSumDB(m.sumdb, dir), key, heads)
	var apart *sumdb.ConnectError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sumdb.ErrSecurity) && errors.As(err, &apart):
		return fmt.Errorf("%w: the checksum database contradicts itself in %s and %s: %w", ErrMismatch, names[apart.Older], names[apart.Newer], err)
	case errors.As(err, &apart):
		return &UnconnectedError{names[apart.Older], names[apart.Newer], err}
	}
	return fmt.Errorf("%w: %w", ErrMismatch, err)
}

// earlierHeads notes from which other heads, of all the bundles, a go command can go on.
func (m *merged) earlierHeads(latest []knownHead, dir, key string) error {
	if len(latest) == 0 {
		return nil
	}
	newest := latest[0]
	if len(latest) == 1 {
		m.record.TreeHeads = newest.part.record.TreeHeads
		return nil
	}
	earlier := make(map[int64]string)
	for _, h := range latest {
		for _, note := range append(slices.Clone(h.part.record.TreeHeads), string(h.note)) {
			size, err := sumdb.HeadSize([]byte(note), key)
			if err == nil && earlier[size] == "" && size != newest.size {
				err = sumdb.Connect(readSumDB(m.sumdb, dir), key, [][]byte{[]byte(note), newest.note})
				if err == nil {
					earlier[size] = note
				} // else no more than the bundle's own head leads on from there
			}
			if errors.Is(err, sumdb.ErrSecurity) {
				return fmt.Errorf("%w: the checksum database contradicts itself in %s and %s: %w", ErrMismatch, h.name, newest.name, err)
			}
		}
	}
	for _, size := range slices.Sorted(maps.Keys(earlier)) {
		m.record.TreeHeads = append(m.record.TreeHeads, earlier[size])
	}
	m.record.TreeHeads = m.record.TreeHeads[max(0, len(earlier)-sumdb.MaxEarlier):]
	return nil
}

// sumDBDir is where in a graph layer the database of that name is.
func sumDBDir(name string) string { return downloadDir + "sumdb/" + name + "/" }

// readSumDB returns how the database below dir is read from files.
func readSumDB(files map[string][]byte, dir string) func(name string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		data, ok := files[dir+name]
		if !ok {
			return nil, fmt.Errorf("%s is missing", name)
		}
		return data, nil
	}
}
