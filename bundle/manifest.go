package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A layer is a layer of a manifest that is being made: its descriptor, and the digest of its
// tar when that is compressed.
type layer struct {
	desc   ocispec.Descriptor
	diffID digest.Digest
}

// document is a manifest, index or config with its descriptor.
type document struct {
	desc ocispec.Descriptor
	data []byte
}

func encodeDocument(mediaType string, v any) (document, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return document{}, err
	}
	data := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(data) > maxManifest {
		return document{}, fmt.Errorf("the %s would be %d bytes; registries take no more than %d", mediaType, len(data), maxManifest)
	}
	return document{ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}, data}, nil
}

// annotations is what index, manifests and config labels say alike.
func (r *Record) annotations() map[string]string {
	a := map[string]string{
		AnnotationFormat:              formatVersion,
		AnnotationScope:               r.Scope,
		ocispec.AnnotationTitle:       r.title(),
		AnnotationModules:             strconv.Itoa(len(r.zips())),
		AnnotationToolchain:           r.GoVersion,
		AnnotationTools:               strings.Join(r.ToolNames(), ","),
		AnnotationSumDB:               r.sumDBName(),
		AnnotationCgo:                 annotateCgo(r.Cgo),
		ocispec.AnnotationDescription: r.description(),
	}
	r.annotateTreeHeads(a)
	maps.Copy(a, r.own)
	maps.DeleteFunc(a, func(_, v string) bool { return v == "" })
	return a
}

func (r *Record) title() string {
	const most = 3
	var paths []string
	for _, p := range r.Projects {
		if p.Path != "" {
			paths = append(paths, p.Path)
		}
	}
	switch {
	case len(paths) > most:
		return fmt.Sprintf("%s (+%d)", strings.Join(paths[:most], ", "), len(paths)-most)
	case len(paths) > 0:
		return strings.Join(paths, ", ")
	case len(r.zips()) > 0:
		return "Go modules"
	case len(r.Tools) > 0:
		return "Go tools"
	}
	return "Go toolchain " + r.GoVersion
}

func (r *Record) description() string {
	d := plural(len(r.zips()), "Go module")
	switch versions := r.GoVersions(); len(versions) {
	case 0:
	case 1:
		d += " and the toolchain " + versions[0]
	default:
		d += " and the toolchains " + strings.Join(versions, ", ")
	}
	if n := len(r.ToolNames()); n > 0 {
		d += " and " + plural(n, "tool")
	}
	return d
}

// plural is "1 tool" or "2 tools".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// zips returns the modules that are carried whole.
func (r *Record) zips() []RecordModule {
	return slices.DeleteFunc(slices.Clone(r.Modules), func(m RecordModule) bool { return m.Sum == "" })
}

// sumDBName is the name of the checksum database, without its key.
func (r *Record) sumDBName() string {
	name, _, _ := strings.Cut(r.SumDB, "+")
	return name
}

// goEnv is what the go command's environment must be to use the tree that GOPROXY names, and
// nothing else, checksums on. The same lines stand in image configs, go.env and env.
func (r *Record) goEnv(goproxy string) []string {
	sumdb, noSumDB := r.SumDB, r.NoSumDB
	if sumdb == "" {
		sumdb = "off"
	}
	if noSumDB == "" {
		noSumDB = "none" // empty would mean GOPRIVATE
	}
	switching := "local"
	if len(r.GoVersions()) > 1 {
		switching = "auto"
	}
	return []string{
		"GOPROXY=" + goproxy,
		"GOSUMDB=" + sumdb,
		"GONOSUMDB=" + noSumDB,
		"GONOPROXY=none",
		"GOTOOLCHAIN=" + switching,
		"GOVCS=*:off",
		"GOAUTH=off",
	}
}

// config makes the config of a manifest with these layers.
func (r *Record) config(p ocispec.Platform, layers []layer, runnable bool, created *time.Time) (document, error) {
	if !runnable {
		return encodeDocument(MediaTypeConfig, bundleConfig{
			Created: created, OS: p.OS, Architecture: p.Architecture, Labels: r.annotations(),
		})
	}
	return encodeDocument(ocispec.MediaTypeImageConfig, r.image(p, layers, created))
}

// image makes the config of an image with these layers.
func (r *Record) image(p ocispec.Platform, layers []layer, created *time.Time) ocispec.Image {
	image := ocispec.Image{Created: created, Platform: p}
	image.Config = ocispec.ImageConfig{Labels: r.annotations(), Env: append([]string{
		"PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
		"GOPATH=/go",
	}, r.goEnv("file:///"+strings.TrimSuffix(downloadDir, "/"))...)}
	image.RootFS.Type = "layers"
	for _, l := range layers {
		diffID := l.diffID
		if diffID == "" {
			diffID = l.desc.Digest
		}
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, diffID)
		image.History = append(image.History, ocispec.History{Created: created, CreatedBy: "goferry: " + layerName(l.desc)})
	}
	return image
}

// bundleConfig is the config of a manifest that is not a runnable image.
type bundleConfig struct {
	Created      *time.Time        `json:"created,omitempty"`
	Architecture string            `json:"architecture"`
	OS           string            `json:"os"`
	Labels       map[string]string `json:"labels,omitempty"`
}

// layerName says what a layer is: "golang.org/x/mod@v0.42.0", the same and "(+37)" where it has as many more, or "graph".
func layerName(desc ocispec.Descriptor) string {
	if name := desc.Annotations[AnnotationModule]; name != "" {
		return name
	}
	if modules := grouped(desc); len(modules) > 0 {
		return fmt.Sprintf("%s (+%d)", modules[0], len(modules)-1)
	}
	if name := desc.Annotations[AnnotationTool]; name != "" {
		return "tool " + name // its module may be there as well
	}
	return desc.Annotations[AnnotationLayer]
}

func (r *Record) manifest(config ocispec.Descriptor, layers []layer, created *time.Time) (document, error) {
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Annotations: withCreated(r.annotations(), created),
	}
	if config.MediaType == MediaTypeConfig {
		m.ArtifactType = MediaTypeConfig
	}
	for _, l := range layers {
		m.Layers = append(m.Layers, l.desc)
	}
	return encodeDocument(m.MediaType, m)
}

func (r *Record) index(manifests []ocispec.Descriptor, created *time.Time) (document, error) {
	return encodeDocument(ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: manifests, Annotations: withCreated(r.annotations(), created),
	})
}

func withCreated(a map[string]string, created *time.Time) map[string]string {
	if created != nil {
		a[ocispec.AnnotationCreated] = created.UTC().Format(time.RFC3339)
	}
	return a
}
