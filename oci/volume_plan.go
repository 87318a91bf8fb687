package oci

import (
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// What a volume takes on a medium, by a rule that holds for the file systems of discs and sticks with clusters of up
// to 4 KiB: each file takes whole clusters and one more for its name, and a mebibyte goes to the file system.
const (
	clusterSize = 4 << 10
	mediumSize  = 1 << 20

	maxPartFile = 4<<30 - clusterSize // FAT32 has no file of 4 GiB
	minPartFile = 1 << 20             // but the last; less is not worth a file
)

func fileCost(size int64) int64 {
	return (size+clusterSize-1)/clusterSize*clusterSize + clusterSize
}

// planVolumes spreads the blobs over volumes in their order. The result depends on its parameters alone. What each
// volume has beside blobs takes common bytes of it, without volume.json and the sums.
func planVolumes(blobs []ocispec.Descriptor, root ocispec.Descriptor, tag string, size, common int64, files int) (*volumeList, error) {
	const sumLine = 64 + len("  "+partDir+"/") + 64 + len(".9999\n")
	list := &volumeList{MediaType: mediaTypeVolume, Digest: root.Digest, Tag: tag, VolumeSize: size, Volumes: maxVolumes, Volume: maxVolumes}
	// A volume has at most one part of a blob that is not as large as a part may be.
	common += mediumSize + fileCost(int64((files+len(blobs)+int(size/maxPartFile))*sumLine))
	var least int64
	for _, desc := range blobs {
		least = max(least, fileCost(min(desc.Size, minPartFile)))
	}
	data, err := list.bytes()
	for err == nil {
		own := common + fileCost(int64(len(data)))
		if size < own+least {
			return nil, mark(ErrUsage, fmt.Errorf("a volume of %d bytes is too small: what each needs takes %d, and blobs want %d at once, so %dB is the least",
				size, own, least, own+least))
		}
		p := &volumePlanner{room: size - own}
		p.put(blobs)
		if p.volume >= maxVolumes {
			return nil, mark(ErrUsage, fmt.Errorf("volumes of %d bytes are too small: there would be more than %d", size, maxVolumes))
		}
		list.Blobs = p.blobs
		before := len(data)
		if data, err = list.bytes(); len(data) <= before {
			break // what was left for it is enough
		}
	}
	if err == nil {
		_, err = parseVolume(data)
	}
	list.Volumes, list.Volume = lastVolume(list), 0
	return list, err
}

// lastVolume is the number of volumes that the blobs are on.
func lastVolume(list *volumeList) int {
	last := 1
	for _, b := range list.Blobs {
		last = max(last, b.Volume)
		for _, p := range b.Parts {
			last = max(last, p.Volume)
		}
	}
	return last
}

// volumePlanner fills one volume after the other.
type volumePlanner struct {
	room   int64 // of each volume
	used   int64 // of the last
	volume int   // the last, from 0
	blobs  []volumeBlob
}

func (p *volumePlanner) put(blobs []ocispec.Descriptor) {
	for _, desc := range blobs {
		b := volumeBlob{Digest: desc.Digest, Size: desc.Size}
		if cost := fileCost(desc.Size); desc.Size > maxPartFile || cost > p.room {
			b.Parts = p.cut(desc.Size)
		} else {
			if p.used+cost > p.room {
				p.next()
			}
			p.used += cost
			b.Volume = p.volume + 1
		}
		p.blobs = append(p.blobs, b)
		if p.volume >= maxVolumes {
			return
		}
	}
}

// cut returns the parts of a blob that no volume has room for. Their digests are not known yet.
func (p *volumePlanner) cut(left int64) (parts []volumePart) {
	for left > 0 && p.volume < maxVolumes {
		room := (p.room - p.used - clusterSize) / clusterSize * clusterSize
		size := min(left, room, maxPartFile)
		if size < min(left, minPartFile) {
			p.next()
			continue
		}
		p.used += fileCost(size)
		parts = append(parts, volumePart{Digest: unknownDigest, Size: size, Volume: p.volume + 1})
		left -= size
	}
	return parts
}

func (p *volumePlanner) next() { p.volume, p.used = p.volume+1, 0 }

// unknownDigest is as long as another.
const unknownDigest = digest.Digest("sha256:0000000000000000000000000000000000000000000000000000000000000000")
