package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle/toolchain"
)

// toolchainContent is what stands beside the zip of a toolchain, the same for everybody.
func toolchainContent(version string) moduleContent {
	return moduleContent{info: toolchain.Info(version), mod: []byte(toolchain.GoMod)}
}

// checkToolchainContent refuses other files beside the zip of a toolchain than those that Pack writes.
func checkToolchainContent(c moduleContent, version string) error {
	want := toolchainContent(version)
	if !bytes.Equal(c.info, want.info) || !bytes.Equal(c.mod, want.mod) {
		return errors.New("the toolchain's .info or .mod file is not the one that goferry writes")
	}
	return nil
}

// writeToolchainZip writes the module zip that a GOROOT layer gives back: its sum is the layer's,
// its bytes are not those of the zip that was packed. The layer must have been proven before;
// that it is still the same is checked before anything is written.
func (v *Verified) writeToolchainZip(ctx context.Context, desc ocispec.Descriptor, w io.Writer) error {
	m, _ := layerModule(desc)
	b, err := v.openBlob(ctx, desc)
	if err != nil {
		return err
	}
	defer b.Close()
	layer, err := b.keep()
	if err != nil {
		return err
	}
	defer layer.Close()
	if err := b.finish(ctx); err != nil {
		return err
	}
	if err := toolchain.WriteZip(ctx, w, layer, desc.Size, m.Version); err != nil {
		return fmt.Errorf("give back the zip of %s: %w", m, err)
	}
	return nil
}
