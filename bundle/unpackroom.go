package bundle

import (
	"errors"
	"fmt"

	"github.com/goferry/goferry/oci/space"
)

// moduleFrame is what a module layer may have beside the bytes of its files: headers, padding, the end.
const moduleFrame = 8 << 10

// checkRoom fails if the disk cannot take the files that are not linked. A module layer is as large as they are,
// but for the tar around them. A toolchain is written as its module zip, and as GOROOT unpacked besides, which
// is larger: by how much only reading would tell. A tool is about twice as large as its layer.
func (u *unpacker) checkRoom() error {
	var need space.Need
	for name, l := range u.layers {
		if u.links[name] != nil {
			continue
		}
		need.Add(l.desc.Size - moduleFrame)
		need.Files += 2 // .info and .mod
		if name == u.goroot || layerKind(l.desc) == kindTool {
			need.Add(l.desc.Size)
		}
	}
	for _, data := range u.merged.sumdb {
		need.Add(int64(len(data)))
	}
	return space.Check(u.tree.dir, need)
}

// nameFull says which directory there is no room in: files are named below it.
func (u *unpacker) nameFull(err error) error {
	var named *space.Error
	if space.Full(err) && !errors.As(err, &named) {
		return fmt.Errorf("%s: %w", u.tree.dir, err)
	}
	return err
}
