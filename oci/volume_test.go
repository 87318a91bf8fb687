package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// volumeSize leaves room for some 200 KiB of blobs beside signedBundle's documents.
const volumeSize = mediumSize + minPartFile + 300<<10

// spreadBundle is signedBundle with more layers: forty of 60 KiB, and one of 3 MiB, which no volume has room for.
func spreadBundle(t testing.TB) (dir string, root ocispec.Descriptor) {
	t.Helper()
	dir, _ = signedBundle(t)
	s := mustOpen(t, dir)
	defer s.Close()
	random := rand.NewChaCha8([32]byte{})
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	m.Config = pushJSON(t, s, ocispec.MediaTypeImageConfig, ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}})
	for i := range 41 {
		data := make([]byte, 60<<10)
		if i == 20 {
			data = make([]byte, 3<<20)
		}
		random.Read(data)
		desc := content.NewDescriptorFromBytes(ocispec.MediaTypeImageLayer, data)
		mustPush(t, s, desc, data)
		m.Layers = append(m.Layers, desc)
	}
	root = pushJSON(t, s, ocispec.MediaTypeImageManifest, m)
	pushReferrer(t, s, root, "signature")
	mustTag(t, s, root, "large")
	return dir, root
}

// spread writes spreadBundle on volumes and returns their directories.
func spread(t testing.TB, dir string) (volumes []string, root ocispec.Descriptor) {
	t.Helper()
	from, root := spreadBundle(t)
	src := mustOpen(t, from)
	defer src.Close()
	_, n, err := CopyToVolumes(t.Context(), src, "large", dir, "v1", volumeSize, CopyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if volumes = VolumeDirs(dir); len(volumes) != n || n < 4 {
		t.Fatalf("there are %d volumes (%q), CopyToVolumes says %d", len(volumes), volumes, n)
	}
	return volumes, root
}

func load(t testing.TB, dst Store, dirs ...string) error {
	t.Helper()
	src, err := OpenVolumes(t.Context(), dirs...)
	if err != nil {
		return err
	}
	defer src.Close()
	_, err = Copy(t.Context(), src, "v1", dst, "v2", CopyOptions{})
	return err
}

func checkLoaded(t testing.TB, s Store, root ocispec.Descriptor, tag string) {
	t.Helper()
	if got, err := s.Resolve(t.Context(), tag); err != nil || got.Digest != root.Digest {
		t.Errorf("Resolve = %v, %v, want %s", got, err, root.Digest)
	}
	if _, err := Check(t.Context(), s, root, CopyOptions{}); err != nil {
		t.Error(err)
	}
	if found, err := s.Predecessors(t.Context(), root); err != nil || len(found) != 1 {
		t.Errorf("Predecessors = %v, %v, want one", found, err)
	}
}

func TestVolumes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	volumes, root := spread(t, dir)
	for _, v := range volumes {
		var bytes, parts int64
		filepath.WalkDir(v, func(name string, e os.DirEntry, err error) error {
			if info, infoErr := e.Info(); infoErr == nil && info.Mode().IsRegular() {
				bytes += fileCost(info.Size())
			}
			if strings.Contains(name, partDir+"/") {
				parts++
			}
			return err
		})
		if bytes+mediumSize > volumeSize {
			t.Errorf("%s takes %d bytes, more than %d", v, bytes+mediumSize, volumeSize)
		}
		l := mustDo(openLayout(v))
		if _, err := Walk(t.Context(), l, root); err != nil {
			t.Errorf("%s lacks documents: %v", v, err)
		}
		mustClose(t, l)
		cmd := exec.Command("sha256sum", "--strict", "-c", sumsFile)
		cmd.Dir = v
		if out, err := cmd.CombinedOutput(); err != nil && !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("sha256sum: %v: %s", err, out)
		}
	}

	again := filepath.Join(t.TempDir(), "again")
	spread(t, again)
	if out, err := exec.Command("diff", "-r", dir, again).CombinedOutput(); err != nil {
		t.Errorf("the same bundle was spread in another way: %s", out)
	}

	s := mustDo(Open(t.Context(), Reference{Transport: TransportLayout, Path: dir}, Options{}))
	defer s.Close()
	checkLoaded(t, s, root, "v1")
}

func TestVolumesInAnyOrder(t *testing.T) {
	volumes, root := spread(t, filepath.Join(t.TempDir(), "out"))
	backwards := slices.Clone(volumes)
	slices.Reverse(backwards)
	for name, place := range map[string]func(t *testing.T) (Reference, Options){
		"layout": func(t *testing.T) (Reference, Options) {
			return Reference{Transport: TransportLayout, Path: filepath.Join(t.TempDir(), "l")}, Options{}
		},
		"registry": func(t *testing.T) (Reference, Options) { return startRegistry(t, true, nil) },
	} {
		for order, dirs := range map[string][]string{"forwards": volumes, "backwards": backwards} {
			t.Run(name+" "+order, func(t *testing.T) {
				ref, opts := place(t)
				cut := volumesOfCut(t, volumes)
				for i, dir := range dirs {
					dst := mustDo(Create(t.Context(), ref, opts))
					here := []string{dir}
					if ref.Transport == TransportRegistry && slices.Contains(cut, dir) {
						here = cut // a registry takes no parts
					}
					err := load(t, dst, here...)
					var incomplete *VolumesError
					switch {
					case err == nil && (i == len(dirs)-1 || len(here) > 1 && i+len(here) >= len(dirs)):
						checkLoaded(t, dst, root, "v2")
					case !errors.As(err, &incomplete) || !errors.Is(err, ErrNotFound) || len(incomplete.Damaged) > 0:
						t.Errorf("after %d of %d volumes: %v, want a VolumesError", i+1, len(dirs), err)
					default:
						if _, err := dst.Resolve(t.Context(), "v2"); !errors.Is(err, ErrNotFound) {
							t.Errorf("after %d volumes it is tagged: %v", i+1, err)
						}
					}
					mustClose(t, dst)
				}
			})
		}
	}
}

// volumesOfCut are the volumes that have parts of the large blob.
func volumesOfCut(t testing.TB, volumes []string) []string {
	var cut []string
	for _, dir := range volumes {
		if _, err := os.Stat(filepath.Join(dir, partDir)); err == nil {
			cut = append(cut, dir)
		}
	}
	if len(cut) < 3 {
		t.Fatalf("%q have parts, want three or more", cut)
	}
	return cut
}

// TestVolumesTogether holds that a registry asks for all parts of a blob at once.
func TestVolumesTogether(t *testing.T) {
	volumes, root := spread(t, filepath.Join(t.TempDir(), "out"))
	cut := volumesOfCut(t, volumes)
	ref, opts := startRegistry(t, true, nil)
	dst := mustDo(Create(t.Context(), ref, opts))
	defer dst.Close()
	for _, dir := range volumes {
		var incomplete *VolumesError
		if err := load(t, dst, dir); !errors.As(err, &incomplete) || len(incomplete.Together) != len(cut) {
			t.Errorf("Copy = %v, want a VolumesError with %d volumes together", err, len(cut))
		}
	}
	if err := load(t, dst, cut...); err != nil {
		t.Error(err)
	}
	checkLoaded(t, dst, root, "v2")
}

// TestVolumesAgain holds that volumes are spread again, in another way, and that other volumes are not mixed with them.
func TestVolumesAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	volumes, root := spread(t, dir)
	src := mustDo(OpenVolumes(t.Context(), volumes...))
	defer src.Close()
	if _, _, err := CopyToVolumes(t.Context(), src, "v1", dir, "v1", 2*volumeSize, CopyOptions{}); !errors.Is(err, ErrNotLayout) {
		t.Errorf("CopyToVolumes over other volumes = %v, want ErrNotLayout", err)
	}
	if _, _, err := CopyToVolumes(t.Context(), src, "v1", dir, "v1", volumeSize, CopyOptions{}); err != nil {
		t.Errorf("CopyToVolumes over the same volumes = %v", err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if _, n, err := CopyToVolumes(t.Context(), src, "v1", other, "v1", 100<<20, CopyOptions{}); err != nil || n != 1 {
		t.Errorf("CopyToVolumes = %d, %v, want 1 volume", n, err)
	}
	one := mustDo(Open(t.Context(), Reference{Transport: TransportLayout, Path: other}, Options{}))
	defer one.Close()
	checkLoaded(t, one, root, "v1")
	if _, err := OpenVolumes(t.Context(), volumes[0], VolumeDirs(other)[0]); !errors.Is(err, ErrDigest) {
		t.Errorf("OpenVolumes of two spreads = %v, want ErrDigest", err)
	}
	if _, err := Create(t.Context(), Reference{Transport: TransportLayout, Path: volumes[0]}, Options{}); !errors.Is(err, ErrNotLayout) {
		t.Errorf("Create of a volume = %v, want ErrNotLayout", err)
	}
	if _, _, err := CopyToVolumes(t.Context(), src, "v1", filepath.Join(t.TempDir(), "small"), "v1", 1<<20, CopyOptions{}); !errors.Is(err, ErrUsage) {
		t.Errorf("CopyToVolumes to small volumes = %v, want ErrUsage", err)
	}
}

// TestVolumesThroughLinks holds that links in the directory of volumes lead to nothing that is written.
func TestVolumesThroughLinks(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	from, _ := spreadBundle(t)
	src := mustOpen(t, from)
	defer src.Close()
	write := func() error {
		_, _, err := CopyToVolumes(t.Context(), src, "large", dir, "v1", volumeSize, CopyOptions{})
		return err
	}
	if err := os.Symlink(filepath.Join(elsewhere, "file"), filepath.Join(dir, spreadFile)); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Error(err)
	}
	// As if the last run had not come to its end.
	w := &volumeWriter{dir: dir}
	l := mustDo(openLayout(VolumeDirs(dir)[0]))
	list := mustDo(l.readVolume())
	mustClose(t, l)
	for i := range cutBlob(list).Parts {
		cutBlob(list).Parts[i].Digest = unknownDigest
	}
	list.Volume = 0
	if err := w.writeSpread([]byte(digest.FromBytes(mustDo(list.bytes())) + "\n")); err != nil {
		t.Fatal(err)
	}
	first := VolumeDirs(dir)[0]
	os.RemoveAll(first)
	os.Symlink(elsewhere, first)
	if err := write(); !errors.Is(err, ErrNotLayout) {
		t.Errorf("CopyToVolumes through a link = %v, want ErrNotLayout", err)
	}
	os.Remove(first)
	if err := write(); err != nil {
		t.Error(err)
	}
	if found := mustDo(os.ReadDir(elsewhere)); len(found) > 0 {
		t.Errorf("%s was written elsewhere", found[0].Name())
	}
}

// TestVolumesGoOn stops the writing at each blob. What is left is used by the next attempt.
func TestVolumesGoOn(t *testing.T) {
	want := filepath.Join(t.TempDir(), "want")
	spread(t, want)
	from, _ := spreadBundle(t)
	src := mustOpen(t, from)
	defer src.Close()
	dir := filepath.Join(t.TempDir(), "out")
	for stop := 10; stop < 50; stop += 10 {
		ctx, cancel := context.WithCancel(t.Context())
		left := stop
		_, _, err := CopyToVolumes(ctx, src, "large", dir, "v1", volumeSize, CopyOptions{Concurrency: 1, OnCopied: func(ocispec.Descriptor) {
			if left--; left == 0 {
				cancel()
			}
		}})
		cancel()
		if err == nil {
			break
		}
		for _, v := range VolumeDirs(dir) {
			if _, err := OpenVolumes(t.Context(), v); !errors.Is(err, ErrNotLayout) {
				t.Errorf("OpenVolumes of one that is not finished = %v, want ErrNotLayout", err)
			}
		}
	}
	if _, _, err := CopyToVolumes(t.Context(), src, "large", dir, "v1", volumeSize, CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("diff", "-r", want, dir).CombinedOutput(); err != nil {
		t.Errorf("after an interruption the volumes are others: %s", out)
	}
}

func TestVolumesDamaged(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, dir string){
		"blob": func(t *testing.T, dir string) {
			flip(t, blobFiles(t, dir, 60<<10)[0])
		},
		"blob is cut": func(t *testing.T, dir string) {
			os.Truncate(blobFiles(t, dir, 60<<10)[0], 1000)
		},
		"blob is a link": func(t *testing.T, dir string) {
			name := blobFiles(t, dir, 60<<10)[0]
			os.Remove(name)
			os.Symlink("/dev/zero", name)
		},
	} {
		t.Run(name, func(t *testing.T) {
			volumes, root := spread(t, filepath.Join(t.TempDir(), "out"))
			harm(t, volumes[0])
			dst := mustCreate(t, filepath.Join(t.TempDir(), "l"))
			defer dst.Close()
			err := load(t, dst, volumes...)
			var problems *VolumesError
			if !errors.As(err, &problems) || !errors.Is(err, ErrDigest) || len(problems.Missing) > 0 ||
				len(problems.Damaged) != 1 || problems.Damaged[0].Volume != 1 || problems.Damaged[0].Dir != volumes[0] || len(problems.Damaged[0].Blobs) != 1 {
				t.Fatalf("Copy = %v, want one damaged blob on volume 1", err)
			}
			// The same volume from elsewhere brings the rest.
			good, _ := spread(t, filepath.Join(t.TempDir(), "good"))
			if err := load(t, dst, good[0]); err != nil {
				t.Error(err)
			}
			checkLoaded(t, dst, root, "v2")
		})
	}
}

func TestVolumesWithDamagedPart(t *testing.T) {
	volumes, root := spread(t, filepath.Join(t.TempDir(), "out"))
	cut := volumesOfCut(t, volumes)
	parts := mustDo(filepath.Glob(filepath.Join(cut[1], partDir, "*")))
	flip(t, parts[0])
	for _, dirs := range [][]string{volumes, cut[1:2]} {
		dst := mustCreate(t, filepath.Join(t.TempDir(), "l"))
		err := load(t, dst, dirs...)
		var problems *VolumesError
		if !errors.As(err, &problems) || len(problems.Damaged) != 1 || problems.Damaged[0].Dir != cut[1] {
			t.Errorf("Copy = %v, want one damaged blob at %s", err, cut[1])
		}
		mustClose(t, dst)
	}
	kept := mustCreate(t, filepath.Join(t.TempDir(), "l"))
	defer kept.Close()
	if err := load(t, kept, volumes...); !errors.Is(err, ErrDigest) {
		t.Errorf("Copy = %v, want ErrDigest", err)
	}
	flip(t, parts[0])
	if err := load(t, kept, cut[1]); err != nil {
		t.Errorf("the rest has not arrived: %v", err)
	}
	checkLoaded(t, kept, root, "v2")
	dst := mustCreate(t, filepath.Join(t.TempDir(), "l"))
	defer dst.Close()
	if err := load(t, dst, volumes...); err != nil {
		t.Error(err)
	}
	checkLoaded(t, dst, root, "v2")
}

// TestVolumesKeepParts holds that a part which has arrived is not lost when its volume comes once more, damaged.
func TestVolumesKeepParts(t *testing.T) {
	volumes, root := spread(t, filepath.Join(t.TempDir(), "out"))
	cut := volumesOfCut(t, volumes)
	dir := filepath.Join(t.TempDir(), "l")
	flipPart := func() { flip(t, mustDo(filepath.Glob(filepath.Join(cut[1], partDir, "*")))[0]) }
	for i, dirs := range [][]string{cut[1:2], cut[:2], volumes} {
		dst := mustCreate(t, dir)
		err := load(t, dst, dirs...)
		switch {
		case i < 2 && (!errors.Is(err, ErrNotFound) || errors.Is(err, ErrDigest)):
			t.Errorf("Copy = %v, want only what is missing", err)
		case i == 2 && err != nil:
			t.Error(err)
		case i == 2:
			checkLoaded(t, dst, root, "v2")
		}
		mustClose(t, dst)
		if i == 0 {
			flipPart()
		}
	}
}

// TestVolumesForged holds that a volume.json which lies costs a copy, and no more.
func TestVolumesForged(t *testing.T) {
	volumes, root := spread(t, filepath.Join(t.TempDir(), "out"))
	for name, forge := range map[string]func(*volumeList){
		"digest of a part": func(l *volumeList) { cutBlob(l).Parts[1].Digest = root.Digest },
		"size of a part": func(l *volumeList) {
			parts := cutBlob(l).Parts
			parts[0].Size, parts[1].Size = parts[0].Size-1, parts[1].Size+1
		},
		"order of parts": func(l *volumeList) {
			parts := cutBlob(l).Parts
			parts[0], parts[1] = parts[1], parts[0]
		},
		"no blobs":         func(l *volumeList) { l.Blobs = nil },
		"blobs elsewhere":  func(l *volumeList) { l.Blobs[0].Volume = l.Volumes },
		"another bundle":   func(l *volumeList) { l.Digest = unknownDigest },
		"size of a blob":   func(l *volumeList) { l.Blobs[0].Size++ },
		"parts of nothing": func(l *volumeList) { cutBlob(l).Parts = cutBlob(l).Parts[:1] },
		"a volume too far": func(l *volumeList) { l.Blobs[0].Volume = l.Volumes + 1 },
		"many volumes":     func(l *volumeList) { l.Volumes = 1 << 40 },
	} {
		t.Run(name, func(t *testing.T) {
			forged := forgeVolumes(t, volumes, func(_ string, l *volumeList) { forge(l) })
			dst := mustCreate(t, filepath.Join(t.TempDir(), "l"))
			defer dst.Close()
			err := load(t, dst, forged...)
			if err == nil {
				checkLoaded(t, dst, root, "v2")
			} else if !errors.Is(err, ErrDigest) && !errors.Is(err, ErrNotFound) {
				t.Errorf("Copy = %v, want ErrDigest or ErrNotFound", err)
			}
		})
	}
}

// forgeVolumes copies volumes, with what forge makes of their directories and lists.
func forgeVolumes(t testing.TB, volumes []string, forge func(dir string, l *volumeList)) (forged []string) {
	t.Helper()
	for i, dir := range volumes {
		copied := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		l := mustDo(openLayout(dir))
		list := mustDo(l.readVolume())
		mustClose(t, l)
		forge(copied, list)
		if err := os.WriteFile(filepath.Join(copied, volumeFile), mustDo(json.Marshal(list)), 0o644); err != nil {
			t.Fatal(err)
		}
		forged = append(forged, copied)
	}
	return forged
}

// TestVolumesForgedWithParts holds that nothing is tagged where volume.json and its parts agree on another size of a blob
// than its manifest.
func TestVolumesForgedWithParts(t *testing.T) {
	volumes, _ := spread(t, filepath.Join(t.TempDir(), "out"))
	forged := forgeVolumes(t, volumes, func(dir string, l *volumeList) {
		b := cutBlob(l)
		last := len(b.Parts) - 1
		b.Size, b.Parts[last].Size = b.Size+1, b.Parts[last].Size+1
		name := filepath.Join(dir, partPath(b.Digest, last))
		if _, err := os.Stat(name); err == nil {
			os.Truncate(name, b.Parts[last].Size)
		}
	})
	checkNotLoaded(t, ErrNotFound, 0, forged...)
}

// TestVolumesWithoutBlobs holds that nothing is tagged where a volume's directory of blobs cannot be read.
func TestVolumesWithoutBlobs(t *testing.T) {
	for name, harm := range map[string]func(blobs string) error{
		"link out of it": func(blobs string) error { return os.Symlink(t.TempDir(), blobs) },
		"file":           func(blobs string) error { return os.WriteFile(blobs, nil, 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			volumes, _ := spread(t, filepath.Join(t.TempDir(), "out"))
			last := volumes[len(volumes)-1]
			os.RemoveAll(filepath.Join(last, "blobs"))
			if err := harm(filepath.Join(last, "blobs")); err != nil {
				t.Fatal(err)
			}
			checkNotLoaded(t, ErrDigest, len(volumes), volumes...)
		})
	}
}

// checkNotLoaded holds that a copy from the volumes names one of them, 0 for none, as what is wrong, and tags nothing.
func checkNotLoaded(t *testing.T, want error, wrong int, volumes ...string) {
	t.Helper()
	ref, opts := startRegistry(t, true, nil)
	for _, dst := range []Store{mustCreate(t, filepath.Join(t.TempDir(), "l")), mustDo(Create(t.Context(), ref, opts))} {
		err := load(t, dst, volumes...)
		var problems *VolumesError
		if !errors.As(err, &problems) || !errors.Is(err, want) {
			t.Errorf("Copy = %v, want a VolumesError that is %v", err, want)
		} else if all := slices.Concat(problems.Missing, problems.Damaged); len(all) != 1 || all[0].Volume != wrong {
			t.Errorf("Copy = %v, want volume %d named", err, wrong)
		}
		if _, err := dst.Resolve(t.Context(), "v2"); !errors.Is(err, ErrNotFound) {
			t.Errorf("it is tagged: %v", err)
		}
		mustClose(t, dst)
	}
}

func cutBlob(l *volumeList) *volumeBlob {
	return &l.Blobs[slices.IndexFunc(l.Blobs, func(b volumeBlob) bool { return b.Parts != nil })]
}

func blobFiles(t testing.TB, dir string, size int64) (names []string) {
	t.Helper()
	for _, name := range mustDo(filepath.Glob(filepath.Join(dir, blobDir, "*"))) {
		if mustDo(os.Stat(name)).Size() == size {
			names = append(names, name)
		}
	}
	return names
}

func flip(t testing.TB, name string) {
	t.Helper()
	data := mustDo(os.ReadFile(name))
	data[len(data)/2] ^= 1
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func FuzzVolume(f *testing.F) {
	f.Add([]byte(`{"mediaType":"application/vnd.goferry.volume.v1+json","digest":"sha256:` + hex64 + `","tag":"v1","volumeSize":1,"volume":1,"volumes":2,"blobs":[{"digest":"sha256:` + hex64 + `","size":3,"parts":[{"digest":"sha256:` + hex64 + `","size":3,"volume":2}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseVolume(data)
		if err != nil {
			return
		}
		again, err := l.bytes()
		if err != nil {
			t.Skip("too large when it is indented")
		}
		if l2, err := parseVolume(again); err != nil || !sameSpread(l, l2) {
			t.Errorf("%s is read as %v, %v", again, l2, err)
		}
	})
}
