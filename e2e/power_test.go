package e2e

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// disks keep a journal, and lose what was not made durable.
var disks = []stick{
	{"ext4", []string{"mkfs.ext4", "-q", "-F"}, true, []string{"mount"}},
	{"xfs", []string{"mkfs.xfs", "-q"}, true, []string{"mount"}},
}

const diskSize = 320 << 20 // the least that XFS takes

// powerOff takes the power from a disk: what is not on it is gone.
func powerOff(t *testing.T, dir string) {
	t.Helper()
	root(t, "xfs_io", "-x", "-c", "shutdown", dir)
}

func powerOn(t *testing.T, dir string) {
	t.Helper()
	device := strings.TrimSpace(root(t, "findmnt", "-n", "-o", "SOURCE", dir))
	root(t, "umount", dir)
	root(t, "mount", device, dir)
}

// TestPowerLoss takes the power away right after a command said that it is done, and holds that all is there.
func TestPowerLoss(t *testing.T) {
	need(t, "xfs_io", "apt-get install xfsprogs")
	f := packModules(t)
	whole := unpack(t, f.ref)
	for _, d := range disks {
		t.Run(d.name, func(t *testing.T) {
			dir := d.insert(t, diskSize)
			layout, archive, packed, site := "oci:"+dir+"/layout:v1", "oci-archive:"+dir+"/app.tar:v1", "oci:"+dir+"/packed:v1", dir+"/site"
			for _, test := range []struct{ write, check []string }{
				{[]string{"copy", f.ref, layout}, []string{binary, "verify", layout}},
				{[]string{"copy", f.ref, archive}, []string{binary, "verify", archive}},
				{append([]string{"pack", "-C", "testdata/hello", "-o", packed}, hello...), []string{binary, "verify", packed}},
				{[]string{"unpack", anybody, f.ref, site}, []string{"diff", "-r", whole.dir + "/current/mod", site + "/current/mod"}},
			} {
				goferry(t, test.write...)
				powerOff(t, dir)
				powerOn(t, dir)
				command{}.must(t, test.check[0], test.check[1:]...)
			}
		})
	}
}

// TestPowerLossInTheMiddle takes the power away while blobs arrive; the next copy makes the layout whole.
func TestPowerLossInTheMiddle(t *testing.T) {
	need(t, "xfs_io", "apt-get install xfsprogs")
	f := packModules(t)
	registry := newRegistry(t)
	remote := startHandler(t, security{}, registry)
	source := remote.host + "/app:v1"
	goferry(t, "copy", "--plain-http", f.ref, source)
	for _, d := range disks {
		t.Run(d.name, func(t *testing.T) {
			dir := d.insert(t, diskSize)
			var blobs atomic.Int32
			failing := startHandler(t, security{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if getsBlob(r) && blobs.Add(1) == 8 {
					powerOff(t, dir)
				}
				registry.ServeHTTP(w, r)
			}))
			layout := "oci:" + dir + "/layout:v1"
			refused(t, 1, "copy", "--plain-http", "--jobs", "1", failing.host+"/app:v1", layout).says(t, dir)
			powerOn(t, dir)
			goferry(t, "copy", "--plain-http", source, layout)
			goferry(t, "verify", layout)
		})
	}
}
