package space

import (
	"strings"
	"testing"
)

func TestMountType(t *testing.T) {
	const mountinfo = "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n" +
		"42 27 0:39 / /mnt/a\\040stick rw,nosuid,nodev,relatime - fuse.fusefat fusefat rw,user_id=0,group_id=0\n" +
		"43 27 7:0 / /mnt/b rw shared:2 master:1 - fuseblk /dev/loop0 rw\n" +
		"malformed\n"
	for device, want := range map[string]string{"254:0": "ext4", "0:39": "fuse.fusefat", "7:0": "fuseblk", "0:3": "", "": ""} {
		if got := mountType(strings.NewReader(mountinfo), device); got != want {
			t.Errorf("mountType(%q) = %q, want %q", device, got, want)
		}
	}
}
