package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A stick is a kind of file system that people carry things on.
type stick struct {
	name string
	make []string // the command that makes one; the image follows
	loop bool     // it wants a device and not a file
	open []string // the command that mounts it; the image or device and the directory follow
}

var (
	fat32  = stick{"FAT32", []string{"mkfs.vfat", "-F", "32"}, false, []string{"fusefat", "-o", "rw+"}}
	exFAT  = stick{"exFAT", []string{"mkfs.exfat"}, true, []string{"mount.exfat-fuse"}}
	sticks = []stick{fat32, exFAT}
)

// insert mounts a new stick of so many bytes until the test ends.
func (s stick) insert(t *testing.T, size int64) (dir string) {
	t.Helper()
	needRoot(t)
	for program, debian := range map[string]string{
		s.make[0]: "dosfstools exfatprogs e2fsprogs xfsprogs", s.open[0]: "fusefat exfat-fuse", "losetup": "mount",
	} {
		need(t, program, "apt-get install "+debian)
	}
	image := filepath.Join(tempDir(t), "image")
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	root(t, append(s.make, image)...)
	device := image
	if s.loop {
		device = strings.TrimSpace(root(t, "losetup", "-f", "--show", image))
		t.Cleanup(func() { root(t, "losetup", "-d", device) })
	}
	dir = tempDir(t)
	root(t, append(s.open, device, dir)...)
	t.Cleanup(func() { eject(t, dir) })
	return dir
}

// root runs one of the system's own programs and returns what it says.
func root(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

func eject(t *testing.T, dir string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), " "+dir+" ") {
		root(t, "umount", "-l", dir)
	}
}

// pull takes a stick away that is in use: whoever has a file of it open is told that it is not there.
func pull(t *testing.T, dir string) {
	t.Helper()
	exec.Command("umount", "-f", dir).Run() // it may say that it is in use
	if _, err := os.ReadDir(filepath.Join(dir, "layout")); err == nil {
		t.Errorf("%s can still be read", dir)
	}
}

// use keeps a file open until the test ends, so that its file system is in use.
func use(t *testing.T, name string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
}

// TestStick writes a bundle to a stick in both forms, twice, reads it there in every way, and holds that all is the same.
func TestStick(t *testing.T) {
	f := packModules(t)
	for _, s := range sticks {
		t.Run(s.name, func(t *testing.T) {
			dir := s.insert(t, 128<<20)
			for _, ref := range []string{"oci:" + dir + "/Layout:v1", "oci-archive:" + dir + "/app.tar:v1"} {
				for range 2 {
					if got := goferry(t, "copy", f.ref, ref); got != f.digest {
						t.Errorf("copy to %s = %s, want %s", ref, got, f.digest)
					}
				}
				goferry(t, "verify", ref)
				goferry(t, "inspect", ref)
				if got := goferry(t, "copy", "--verify", anybody, ref, layoutRef(t)); got != f.digest {
					t.Errorf("copy from %s = %s, want %s", ref, got, f.digest)
				}
				unpack(t, ref)
			}
			packed := "oci:" + dir + "/packed:v1"
			goferry(t, append([]string{"pack", "-C", "testdata/hello", "-o", packed}, hello...)...)
			goferry(t, "verify", packed)
			litter(t, dir)
		})
	}
}

// litter holds that no temporary file is left on a medium.
func litter(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if err == nil && strings.Contains(filepath.Base(name), ".goferry-") {
			t.Errorf("%s is left", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A stick cannot hold what unpack makes, which is said before it writes.
func TestUnpackToStick(t *testing.T) {
	f := packModules(t)
	for _, s := range sticks {
		t.Run(s.name, func(t *testing.T) {
			dir := s.insert(t, 64<<20)
			refused(t, 1, "unpack", anybody, f.ref, filepath.Join(dir, "site")).says(t, "no symbolic links", dir)
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
				t.Errorf("the refused unpack left %v, %v", entries, err)
			}
		})
	}
}

// FAT has no archive of 4 GiB: that is said before it is written, and what to do.
func TestLargeArchiveOnFAT(t *testing.T) {
	dir := fat32.insert(t, 64<<20)
	large := largeImage(t, 4<<30)
	refused(t, 7, "copy", large, "oci-archive:"+dir+"/app.tar").says(t, "FAT", "4294967295 bytes", "oci:DIR")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the refused copy left %v, %v", entries, err)
	}
}

// A full stick ends a copy, which goes on when there is room again.
func TestFullStick(t *testing.T) {
	f := packModules(t)
	for _, s := range sticks {
		t.Run(s.name, func(t *testing.T) {
			dir := s.insert(t, 64<<20)
			ballast := filepath.Join(dir, "ballast")
			fill(t, ballast, 1<<20)
			r := command{}.run(t, binary, "copy", f.ref, "oci:"+dir+"/layout:v1").says(t, dir)
			if s.name == exFAT.name {
				r.want(t, 7)
			}
			if r.code == 0 || r.stdout != "" { // fusefat says that the operation is not permitted
				t.Fatalf("copy to a full stick: exit code %d, %s", r.code, r.stdout)
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			goferry(t, "copy", f.ref, "oci:"+dir+"/layout:v1")
			goferry(t, "verify", "oci:"+dir+"/layout:v1")
			litter(t, dir)
		})
	}
}

// fill makes a file that leaves so many bytes of a file system.
func fill(t *testing.T, name string, leave int64) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	piece := make([]byte, 256<<10)
	for size := int64(0); ; {
		n, err := f.Write(piece)
		size += int64(n)
		if err != nil {
			if err := f.Truncate(size - leave); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
}
