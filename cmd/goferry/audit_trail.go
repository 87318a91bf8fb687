package main

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle"
)

// A trail is what the audit log is going to say of a command that runs. A nil one, of a command without an audit log,
// takes everything and forgets it.
type trail struct {
	file, run, command string
	begun              time.Time

	mu   sync.Mutex
	work auditWork // since the last record
}

// auditWork is what a command did.
type auditWork struct {
	Read     []auditPlace    `json:"read,omitempty"`
	Written  []auditPlace    `json:"written,omitempty"`
	Removed  []string        `json:"removed,omitempty"` // by prune: blobs, tags and generations
	Keys     []auditKey      `json:"keys,omitempty"`    // private ones that were used or made
	Policy   *auditPolicy    `json:"policy,omitempty"`  // that was asked
	Decided  []auditDecision `json:"decided,omitempty"`
	Insecure bool            `json:"insecureIgnoreSignature,omitempty"`
	Stages   []*stage        `json:"stages,omitempty"` // how much was done in each
}

// An auditPlace is where something was read, or was opened to be written.
type auditPlace struct {
	Reference string        `json:"reference"`
	Digest    digest.Digest `json:"digest,omitempty"` // what was read or tagged there, where it came to that
}

type auditKey struct {
	Key   string `json:"key"`
	KeyID string `json:"keyID"` // base64 of the public key's SHA-256
	Use   string `json:"use"`   // "sign", "make"
}

type auditPolicy struct {
	File   string        `json:"file"`
	Digest digest.Digest `json:"digest"`
}

// An auditDecision is what became of a rule: of the policy, or the one that --key and the like make.
type auditDecision struct {
	Reference string        `json:"reference"`
	Digest    digest.Digest `json:"digest"`
	Rule      string        `json:"rule,omitempty"`
	Kept      bool          `json:"kept"`
	SignedBy  []auditSigner `json:"signedBy,omitempty"`
	Error     string        `json:"error,omitempty"`

	Attestations []bundle.Attestation `json:"attestations,omitempty"` // that were asked for, without what they say
}

type auditSigner struct {
	Key   string `json:"key"`
	KeyID string `json:"keyID"`
}

type trailKey struct{}

// trailOf returns the trail of the command that runs, nil if it has none.
func trailOf(ctx context.Context) *trail {
	t, _ := ctx.Value(trailKey{}).(*trail)
	return t
}

// note changes the work.
func (t *trail) note(change func(*auditWork)) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.work)
}

func (t *trail) read(reference string, d digest.Digest) {
	t.note(func(w *auditWork) { w.Read = addPlace(w.Read, reference, d) })
}

func (t *trail) wrote(reference string, d digest.Digest) {
	t.note(func(w *auditWork) { w.Written = addPlace(w.Written, reference, d) })
}

func (t *trail) removed(names []string) {
	t.note(func(w *auditWork) { w.Removed = append(w.Removed, names...) })
}

// addPlace adds a place, or the digest to it that was not known yet.
func addPlace(places []auditPlace, reference string, d digest.Digest) []auditPlace {
	p := auditPlace{redact(reference), d}
	if i := slices.Index(places, auditPlace{Reference: p.Reference}); i >= 0 {
		places[i] = p
		return places
	}
	if d == "" && slices.ContainsFunc(places, func(known auditPlace) bool { return known.Reference == p.Reference }) || slices.Contains(places, p) {
		return places
	}
	return append(places, p)
}

func (t *trail) key(ref, id, use string) {
	k := auditKey{redact(ref), id, use}
	t.note(func(w *auditWork) {
		if !slices.Contains(w.Keys, k) {
			w.Keys = append(w.Keys, k)
		}
	})
}

func (t *trail) policy(file string, data []byte) {
	t.note(func(w *auditWork) { w.Policy = &auditPolicy{file, digest.FromBytes(data)} })
}

func (t *trail) insecure() { t.note(func(w *auditWork) { w.Insecure = true }) }

func (t *trail) event(e bundle.Event) {
	t.note(func(w *auditWork) { find(&w.Stages, e.Stage).add(e) })
}

// recordCopied records what was copied from all of the job's places but the last one, to that.
func (j *job) recordCopied(ctx context.Context, d digest.Digest, err error) {
	t, last := trailOf(ctx), len(j.places)-1
	for _, p := range j.places[:last] {
		t.read(p.text, d)
	}
	if err == nil {
		t.wrote(j.places[last].text, d)
	}
}

// watch has all that becomes of signatures recorded.
func (t *trail) watch(believe believer) believer {
	if t == nil {
		return believe
	}
	return func(from place) *bundle.Trust {
		trust := believe(from)
		if trust != nil {
			trust.Decided = func(d digest.Digest, decisions []bundle.Decision) { t.decided(from.text, d, decisions) }
		}
		return trust
	}
}

func (t *trail) decided(reference string, d digest.Digest, decisions []bundle.Decision) {
	t.note(func(w *auditWork) {
		for _, decision := range decisions {
			said := auditDecision{Reference: redact(reference), Digest: d, Rule: decision.Rule, Kept: decision.Err == nil, Attestations: decision.Attestations}
			if decision.Err != nil {
				said.Error = auditText(errorText(decision.Err))
			}
			for _, s := range decision.Signatures {
				if by := (auditSigner{redact(s.Key), s.KeyID}); !slices.Contains(said.SignedBy, by) {
					said.SignedBy = append(said.SignedBy, by)
				}
			}
			w.Decided = append(w.Decided, said)
		}
	})
}

// serving writes a record of what is served now.
func (t *trail) serving(bundles map[string]digest.Digest) error {
	if t == nil {
		return nil
	}
	r := auditRecord{Event: "serving"}
	for _, name := range slices.Sorted(maps.Keys(bundles)) {
		r.Bundles = append(r.Bundles, auditPlace{redact(name), bundles[name]})
	}
	return t.write(r)
}

// refused writes a record of why something is not served.
func (t *trail) refused(err error) error {
	if t == nil {
		return nil
	}
	return t.write(auditRecord{Event: "refused", Error: auditText(errorText(err))})
}

// write writes a record with the work since the last one.
func (t *trail) write(r auditRecord) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Run, r.Command = t.run, t.command
	if r.Time.IsZero() {
		r.Time = now()
	}
	work := t.work
	for _, s := range work.Stages {
		s.Item = "" // the last one says nothing of the whole
	}
	r.auditWork, t.work = &work, auditWork{}
	return appendAudit(t.file, &r)
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// An audited display has the trail see what is shown.
type audited struct {
	display
	trail *trail
}

func (d audited) event(e bundle.Event) {
	d.trail.event(e)
	d.display.event(e)
}

func (d audited) say(kind, text string) { tell(d.display, kind, text) }
