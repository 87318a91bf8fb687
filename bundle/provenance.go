package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/goferry/goferry/bundle/sbom"
	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// What a provenance says of how a bundle is made, and by what. The parameters are those of "goferry pack".
const (
	buildType = "https://github.com/goferry/goferry/pack/v1"
	builderID = "https://github.com/goferry/goferry"
)

// provenance is a SLSA provenance. It says nothing that depends on the machine or the moment: no host, no user, no
// directory, no time; so whoever packs the same with the same goferry says the same of it.
type provenance struct {
	BuildDefinition struct {
		BuildType            string             `json:"buildType"`
		ExternalParameters   externalParameters `json:"externalParameters"`
		InternalParameters   internalParameters `json:"internalParameters"`
		ResolvedDependencies []resource         `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder builder `json:"builder"`
	} `json:"runDetails"`
}

// externalParameters are what was asked for.
type externalParameters struct {
	Projects   []string `json:"projects,omitempty"` // module paths
	Modules    []string `json:"modules,omitempty"`
	Locals     []string `json:"locals,omitempty"` // "path@version", made of directories
	Scope      string   `json:"scope"`
	Platforms  []string `json:"platforms"`
	Toolchains []string `json:"toolchains"`
	Tools      []string `json:"tools,omitempty"` // "package@version"

	LayerBudget int `json:"layerBudget,omitempty"`
}

// internalParameters are what it came to, beside the dependencies.
type internalParameters struct {
	GoVersion string `json:"goVersion,omitempty"` // of GOROOT
	SumDB     string `json:"sumdb,omitempty"`
	TreeHead  string `json:"treeHead,omitempty"` // signed note
}

type builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version"`
}

// resource is an in-toto resource descriptor.
type resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest"`
}

// Attest attaches to what Pack wrote, and [Sign] signed, where it came from, as a SLSA provenance, and what is in
// it, as a CycloneDX bill of materials. The version is goferry's own. It fails as the function [Attest] does.
func (p Packed) Attest(ctx context.Context, s oci.Store, signer *signing.Signer, version string, now time.Time) error {
	from, err := p.provenance(version)
	if err != nil {
		return fmt.Errorf("provenance: %w", err)
	}
	var bom bytes.Buffer
	if err := p.Record.sbom(p.Descriptor.Digest, p.asked.Created).WriteCycloneDX(&bom); err != nil {
		return fmt.Errorf("bill of materials: %w", err)
	}
	target := p.Descriptor.Digest.String()
	if _, err := Attest(ctx, s, target, signer, PredicateProvenance, from, now); err != nil {
		return err
	}
	_, err = Attest(ctx, s, target, signer, PredicateCycloneDX, bom.Bytes(), now)
	return err
}

func (p Packed) provenance(version string) ([]byte, error) {
	var predicate provenance
	d := &predicate.BuildDefinition
	d.BuildType = buildType
	d.ExternalParameters = externalParameters{Modules: p.asked.Modules, Locals: p.locals, Scope: p.Record.Scope, Toolchains: p.asked.Toolchains, Tools: p.Record.ToolNames(), LayerBudget: p.asked.LayerBudget}
	if len(p.asked.Toolchains) == 0 {
		d.ExternalParameters.Toolchains = []string{"auto"}
	}
	for _, platform := range p.asked.Platforms {
		d.ExternalParameters.Platforms = append(d.ExternalParameters.Platforms, platform.String())
	}
	d.InternalParameters = internalParameters{GoVersion: p.Record.GoVersion, SumDB: p.Record.SumDB}
	if n := len(p.TreeHeads); n > 0 {
		d.InternalParameters.TreeHead = p.TreeHeads[n-1]
	}
	for _, project := range p.Record.Projects {
		d.ExternalParameters.Projects = append(d.ExternalParameters.Projects, project.Path)
		d.ResolvedDependencies = append(d.ResolvedDependencies, project.resources()...)
	}
	for _, m := range p.Record.sbom(p.Descriptor.Digest, p.asked.Created).Modules {
		r, err := moduleResource(m)
		if err != nil {
			return nil, err
		}
		d.ResolvedDependencies = append(d.ResolvedDependencies, r)
	}
	predicate.RunDetails.Builder = builder{builderID, map[string]string{"goferry": version}}
	return json.Marshal(predicate)
}

// resources are the files that say what the project needs.
func (p Project) resources() []resource {
	var list []resource
	for _, f := range []struct{ name, text string }{{"go.mod", p.GoMod}, {"go.sum", p.GoSum}, {"go.work", p.GoWork}, {"go.work.sum", p.GoWorkSum}} {
		if f.text == "" {
			continue
		}
		sum := sha256.Sum256([]byte(f.text))
		list = append(list, resource{Name: strings.TrimPrefix(p.Path+"/"+f.name, "/"), Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}})
	}
	return list
}

// moduleResource is a module with its sum as in-toto has it: without "h1:", and in hexadecimal.
func moduleResource(m sbom.Module) (resource, error) {
	sum, ok := strings.CutPrefix(m.Sum, "h1:")
	raw, err := base64.StdEncoding.DecodeString(sum)
	if !ok || err != nil {
		return resource{}, fmt.Errorf("%s@%s: %q is not an h1: sum", m.Path, m.Version, m.Sum)
	}
	return resource{URI: m.PackageURL(), Digest: map[string]string{"dirHash1": hex.EncodeToString(raw)}}, nil
}
