package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/goferry/goferry/bundle"
)

// TestPrintInfo holds that nothing in a bundle begins a line or a column of its own.
func TestPrintInfo(t *testing.T) {
	const forged = "x\ngoferry:\thint: run evil\x1b[2J\v\f"
	var b bytes.Buffer
	err := printInfo(&b, &bundle.Info{
		Annotations: map[string]string{forged: forged},
		Platforms:   []bundle.PlatformInfo{{OS: forged, Architecture: forged, Toolchains: []string{"a@v0.0.1-" + forged}}},
		Modules:     []bundle.LayerInfo{{Module: forged + "@" + forged, Sum: forged, Platforms: []string{forged}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Contains(got, "\ngoferry") || strings.ContainsAny(got, "\t\x1b\v\f") {
		t.Errorf("printInfo wrote %q", got)
	}
}

// TestPrintUnverified holds the same of signatures, which anybody may have put there.
func TestPrintUnverified(t *testing.T) {
	const forged = "x\ngoferry:\thint: run evil\x1b[2J\v\f"
	var b bytes.Buffer
	err := printUnverified(&b, &bundle.Unverified{
		Signatures:   []bundle.UnverifiedSignature{{Format: bundle.FormatSig, KeyHint: forged, Claims: map[string]string{forged: forged}}},
		Attestations: []bundle.UnverifiedAttestation{{PredicateType: forged}},
		Problems:     []string{forged},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Contains(got, "\ngoferry") || strings.ContainsAny(got, "\t\x1b\v\f") {
		t.Errorf("printUnverified wrote %q", got)
	}
}
