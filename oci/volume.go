package oci

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

const (
	volumeFile = "volume.json"
	sumsFile   = "SHA256SUMS"
	partDir    = "parts"

	mediaTypeVolume = "application/vnd.goferry.volume.v1+json"

	maxVolumes = 9999
)

// volumeList is the volume.json of a volume: how something is spread. In each volume of it only Volume is another.
type volumeList struct {
	MediaType  string        `json:"mediaType"`
	Digest     digest.Digest `json:"digest"` // of what is spread
	Tag        string        `json:"tag"`
	VolumeSize int64         `json:"volumeSize"` // bytes that a volume may take
	Volume     int           `json:"volume"`     // from 1
	Volumes    int           `json:"volumes"`
	Blobs      []volumeBlob  `json:"blobs"` // that are no documents
}

// volumeBlob is a blob on one volume, or in parts.
type volumeBlob struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
	Volume int           `json:"volume,omitempty"`
	Parts  []volumePart  `json:"parts,omitempty"` // in their order
}

type volumePart struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
	Volume int           `json:"volume"`
}

// partPath is where the part is on its volume. Parts are numbered from 0 here, and from 1 in the name.
func partPath(blob digest.Digest, part int) string {
	return path.Join(partDir, fmt.Sprintf("%s.%d", blob.Encoded(), part+1))
}

func (l *volumeList) bytes() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	if err := enc.Encode(l); err != nil {
		return nil, err
	}
	if buf.Len() > maxIndex {
		return nil, fmt.Errorf("%s: %d blobs are more than are read again", volumeFile, len(l.Blobs))
	}
	return buf.Bytes(), nil
}

// parseVolume reads volume.json. What it says is used to find things and to say where they are; digests decide what
// they are.
func parseVolume(data []byte) (*volumeList, error) {
	var l volumeList
	if err := DecodeStrict(data, &l); err != nil {
		return nil, fmt.Errorf("%s: %w", volumeFile, err)
	}
	switch {
	case l.MediaType != mediaTypeVolume:
		return nil, malformed("%s: media type is %q, not %q", volumeFile, l.MediaType, mediaTypeVolume)
	case !validDigest(l.Digest), l.Tag != string(l.Digest) && !tagPattern.MatchString(l.Tag):
		return nil, malformed("%s: malformed tag %q or digest %q", volumeFile, l.Tag, l.Digest)
	case l.Volumes < 1 || l.Volumes > maxVolumes || !l.has(l.Volume):
		return nil, malformed("%s: volume %d of %d", volumeFile, l.Volume, l.Volumes)
	}
	seen := map[digest.Digest]bool{}
	for _, b := range l.Blobs {
		if err := l.check(b); err != nil {
			return nil, err
		}
		if seen[b.Digest] {
			return nil, malformed("%s: blob %s is there twice", volumeFile, b.Digest)
		}
		seen[b.Digest] = true
	}
	return &l, nil
}

func (l *volumeList) has(volume int) bool { return 1 <= volume && volume <= l.Volumes }

func (l *volumeList) check(b volumeBlob) error {
	left := b.Size
	for _, p := range b.Parts {
		if !validDigest(p.Digest) || p.Size < 1 || p.Size > left || !l.has(p.Volume) {
			return malformed("%s: malformed part of blob %q", volumeFile, b.Digest)
		}
		left -= p.Size
	}
	whole := len(b.Parts) == 0 && l.has(b.Volume)
	cut := len(b.Parts) > 0 && b.Volume == 0 && left == 0
	if !validDigest(b.Digest) || b.Size < 0 || !whole && !cut {
		return malformed("%s: malformed blob %q of %d bytes", volumeFile, b.Digest, b.Size)
	}
	return nil
}

// sameSpread reports whether two volumes are of the same set.
func sameSpread(a, b *volumeList) bool {
	one, other := *a, *b
	one.Volume, other.Volume = 0, 0
	return reflect.DeepEqual(one, other)
}

// volumeName is what the directory of a volume is called.
func volumeName(volume, volumes int) string {
	width := max(2, len(fmt.Sprint(volumes)))
	return fmt.Sprintf("vol-%0*d-of-%0*d", width, volume, width, volumes)
}

var volumePattern = regexp.MustCompile(`^vol-\d{2,4}-of-\d{2,4}$`)

// VolumeDirs are the volumes that path means: itself, or those in it. There may be none.
func VolumeDirs(path string) []string {
	if info, err := os.Lstat(filepath.Join(path, volumeFile)); err == nil && info.Mode().IsRegular() {
		return []string{path}
	}
	if _, err := os.Lstat(filepath.Join(path, layoutFile)); err == nil {
		return nil
	}
	names, _ := volumesIn(path)
	for i, name := range names {
		names[i] = filepath.Join(path, name)
	}
	return names
}

// volumesIn are the names of directories in dir that are called like volumes.
func volumesIn(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if volumePattern.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, strings.Compare)
	return names, err
}

// readVolume reads the volume.json of the layout.
func (l *layout) readVolume() (*volumeList, error) {
	data, err := l.readFile(volumeFile, maxIndex)
	if err != nil {
		return nil, err
	}
	return parseVolume(data)
}
