package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var digestPattern = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// mentions are all digests that stand in documents, whatever is said of them there. To read documents by their types
// would forget what is of a type that is not known, or of a later version of one that is.
type mentions struct {
	layout *layout
	seen   map[digest.Digest]bool
	queue  []digest.Digest // seen, and not yet looked into

	waiting []dependent // what is kept if its subject is
	young   int         // of these, what is kept for now
}

// A dependent is a manifest that belongs to another, which is why it is there.
type dependent struct {
	entry   ocispec.Descriptor // of index.json; the digest alone if nothing lists it
	subject digest.Digest
}

// list adds what index.json lists. What refers to something, by its subject or by a tag such as cosign's, waits for it:
// when a tag moves on, the signatures of what it led to stay listed, and would keep that for ever. It does not wait for
// what is not there: somebody keeps signatures alone.
func (m *mentions) list(ctx context.Context, ix *index) error {
	subjects := map[digest.Digest]digest.Digest{}
	for subject, referrers := range ix.scan(ctx, m.layout) {
		for _, r := range referrers {
			subjects[r.Digest] = subject
		}
	}
	beside := ix.Index
	beside.Manifests = nil
	data, err := json.Marshal(beside)
	if err != nil {
		return err
	}
	m.add(data)
	for _, e := range ix.Manifests {
		subject := subjects[e.Digest]
		if tag := tagOf(e); tag != "" {
			subject = taggedSubject(tag)
		}
		if subject == "" {
			subject = e.Digest
		}
		if _, err := m.layout.blobSize(subject); err == nil && subject != e.Digest {
			m.waiting = append(m.waiting, dependent{e, subject})
		} else if err := m.keep(e); err != nil {
			return err
		}
	}
	return m.follow(ctx)
}

func (m *mentions) keep(entry ocispec.Descriptor) error {
	data, err := json.Marshal(entry)
	m.add(data)
	return err
}

// taggedSubject is what a tag says that it belongs to.
func taggedSubject(tag string) digest.Digest {
	hex, _, _ := strings.Cut(strings.TrimPrefix(tag, referrerPrefix), ".")
	if d := digest.Digest("sha256:" + hex); IsReferrerTag(tag) && validDigest(d) {
		return d
	}
	return ""
}

// isOld says that a blob is there and no longer young.
func (l *layout) isOld(d digest.Digest) bool {
	info, err := l.root.Lstat(blobPath(d))
	return err == nil && time.Since(info.ModTime()) >= youngAge
}

// unlisted adds those of the blobs that refer to something though nothing lists them.
func (m *mentions) unlisted(blobs []fs.DirEntry) error {
	listed := map[digest.Digest]bool{}
	for _, w := range m.waiting {
		listed[w.entry.Digest] = true
	}
	for _, e := range blobs {
		d := digest.Digest("sha256:" + e.Name())
		if m.seen[d] || listed[d] {
			continue
		}
		data, err := m.layout.readJSON(d)
		if err != nil {
			return err
		}
		if r, ok := referrerOf(ocispec.Descriptor{Digest: d}, data); ok {
			m.waiting = append(m.waiting, dependent{r.desc, r.subject})
		}
	}
	return nil
}

// settle keeps what waits for something that is kept, or is young or waits for what is. What goes on waiting is not kept.
func (m *mentions) settle(ctx context.Context) error {
	if err := m.keepWaiting(ctx, func(w dependent) bool { return m.seen[w.subject] }); err != nil {
		return err
	}
	return m.keepWaiting(ctx, func(w dependent) bool {
		if m.seen[w.subject] {
			return true
		}
		young := !m.layout.isOld(w.subject) || !m.layout.isOld(w.entry.Digest)
		if young {
			m.young++
		}
		return young
	})
}

// keepWaiting keeps what waits and is wanted, until nothing more is.
func (m *mentions) keepWaiting(ctx context.Context, wanted func(dependent) bool) (err error) {
	for more := true; more && err == nil; {
		more = false
		m.waiting = slices.DeleteFunc(m.waiting, func(w dependent) bool {
			ok := wanted(w)
			if ok {
				more = true
				err = errors.Join(err, m.keep(w.entry))
			}
			return ok
		})
		err = errors.Join(err, m.follow(ctx))
	}
	return err
}

func (m *mentions) add(data []byte) {
	for _, found := range digestPattern.FindAll(unescaped(data), -1) {
		if d := digest.Digest(found); !m.seen[d] {
			m.seen[d] = true
			m.queue = append(m.queue, d)
		}
	}
}

// unescaped returns the strings of a document in which something is written with escapes, as a digest may be. One that
// cannot be decoded is what it is up to there.
func unescaped(data []byte) []byte {
	if !bytes.Contains(data, []byte(`\u`)) {
		return data
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	plain := slices.Clone(data)
	for {
		token, err := dec.Token()
		if err != nil {
			return plain
		}
		if text, ok := token.(string); ok {
			plain = append(append(plain, ' '), text...)
		}
	}
}

// follow adds what the seen ones mention, and so on.
func (m *mentions) follow(ctx context.Context) error {
	for len(m.queue) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		d := m.queue[0]
		m.queue = m.queue[1:]
		data, err := m.layout.readJSON(d)
		if err != nil {
			return err
		}
		m.add(data)
	}
	return nil
}

// readJSON returns the blob if it can be a document by how it begins. It is empty if the blob is none, or not there.
func (l *layout) readJSON(d digest.Digest) ([]byte, error) {
	f, info, err := l.open(blobPath(d))
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrDigest): // not there, or no file
		return nil, nil
	case err != nil:
		return nil, err
	}
	defer f.Close()
	if info.Size() > maxIndex {
		return nil, nil // no document is that large
	}
	var begin [512]byte
	n, err := f.ReadAt(begin[:], 0)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("blob %s: %w", d, err)
	}
	const space = " \t\r\n" // which may stand before a document, even if there is nothing else in so many bytes
	if text := bytes.TrimLeft(begin[:n], space); len(text) > 0 && text[0] != '{' && text[0] != '[' {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(f, maxIndex))
}
