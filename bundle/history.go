package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/goferry/goferry/oci"
)

// ErrRollback is a bundle that is older than one of the same name that was accepted before. Nothing else says so: its
// signature is as good as it ever was.
var ErrRollback = errors.New("older than what was accepted before")

// A History knows the highest sequence that was accepted for each name. It is a file that many processes may change; a
// History itself is for one goroutine.
type History struct {
	Lost     string // why nothing is known of what was accepted; "" where that is not so
	Rollback bool   // older bundles are accepted as well

	file string
	seen map[string]accepted
}

type accepted struct {
	Sequence uint64        `json:"sequence"`
	Digest   digest.Digest `json:"digest"`
}

const maxHistory = 4 << 20 // bytes

// OpenHistory reads a history. One that is not there or cannot be understood is empty, and says so in Lost.
func OpenHistory(file string) (*History, error) {
	h := &History{file: file}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		h.Lost = file + " is not there, which is right only before the first bundle was accepted"
		return h, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxHistory:
		return nil, fmt.Errorf("%s is no history", file)
	}
	data, err := lockedfile.Read(file)
	if err != nil {
		return nil, err
	}
	if h.seen, err = decodeHistory(data); err != nil {
		h.Lost = fmt.Sprintf("%s: %v", file, err)
	}
	return h, nil
}

func decodeHistory(data []byte) (map[string]accepted, error) {
	var file struct {
		Names map[string]accepted `json:"names"`
	}
	err := oci.DecodeStrict(data, &file)
	return file.Names, err
}

// check refuses what is older than what was accepted of a name that the signatures claim, and what does not say how
// old it is.
func (h *History) check(d digest.Digest, signatures []Signature) error {
	for name, sequence := range sequences(signatures) {
		was, known := h.seen[name]
		if known && was.Digest != d && sequence < was.Sequence && !h.Rollback {
			return fmt.Errorf("%w: %s: %s has the sequence %d, and %d (%s) was accepted", ErrRollback, d, name, sequence, was.Sequence, was.Digest)
		}
	}
	return nil
}

// sequences returns the sequence of each name. Of several signatures the lowest counts: one that was added to an old
// bundle later does not make it a new one. A signature without a number has the lowest.
func sequences(signatures []Signature) map[string]uint64 {
	found := make(map[string]uint64)
	for _, s := range signatures {
		name, ok := s.Claims[ClaimName]
		if !ok {
			continue
		}
		n, err := parseSequence(s.Claims[ClaimSequence])
		if err != nil {
			n = 0
		}
		if was, ok := found[name]; !ok || n < was {
			found[name] = n
		}
	}
	return found
}

// Accept remembers, where t has a history, that a bundle was accepted.
func (t *Trust) Accept(d digest.Digest, signatures []Signature) error {
	if t == nil || t.History == nil {
		return nil
	}
	if err := t.History.accept(d, signatures); err != nil {
		return fmt.Errorf("remember what was accepted: %w", err)
	}
	return nil
}

func (h *History) accept(d digest.Digest, signatures []Signature) error {
	found := sequences(signatures)
	if len(found) == 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(h.file), 0o755); err != nil {
		return err
	}
	return lockedfile.Transform(h.file, func(data []byte) ([]byte, error) {
		names, err := decodeHistory(data)
		if err != nil || names == nil {
			names = make(map[string]accepted)
		}
		for _, name := range slices.Sorted(maps.Keys(found)) {
			if was, ok := names[name]; !ok || found[name] > was.Sequence {
				names[name] = accepted{found[name], d}
			}
		}
		h.seen = names
		return json.MarshalIndent(map[string]any{"names": names}, "", "  ")
	})
}
