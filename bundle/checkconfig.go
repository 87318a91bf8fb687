package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// checkConfigs makes the config of each platform's image again, and compares: what a container begins with, its
// environment and its command, follows from the record alone.
func (v *Verified) checkConfigs(r *Record) (errs []error) {
	for _, p := range v.Platforms {
		if !p.Runnable() {
			continue
		}
		i := slices.IndexFunc(v.documents, func(d document) bool { return d.desc.Digest == p.Config.Digest })
		if err := r.checkConfig(p, v.documents[i].data); err != nil {
			errs = append(errs, fmt.Errorf("config of %s: %w", p, err))
		}
	}
	return errs
}

// checkConfig compares the bytes, as there are members that only some engines know. The labels and the time are what
// the config says: nobody acts on them.
func (r *Record) checkConfig(p Platform, data []byte) error {
	var image ocispec.Image
	if err := json.Unmarshal(data, &image); err != nil {
		return err
	}
	var layers []layer
	for i, l := range p.Layers {
		layers = append(layers, layer{l, p.diffIDs[i]})
	}
	want := r.image(ocispec.Platform{OS: p.OS, Architecture: p.Arch}, layers, image.Created)
	want.Config.Labels = image.Config.Labels
	doc, err := encodeDocument(ocispec.MediaTypeImageConfig, want)
	if err == nil && !bytes.Equal(doc.data, data) {
		err = errors.New("it is not the one that goferry writes for these layers")
	}
	return err
}
