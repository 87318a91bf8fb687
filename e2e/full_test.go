package e2e

import "testing"

// TestFullDisk gives each command that writes a disk of 1 MiB: exit code 7, the path in the message, and nothing that looks
// like a success. The disk lives in a mount namespace and goes with it.
func TestFullDisk(t *testing.T) {
	needRoot(t)
	f := packModules(t)
	for name, line := range map[string]string{
		"pack":    `"$GOFERRY" pack -C testdata/hello --toolchain none -o "oci:$DISK/layout:v1"`,
		"archive": `"$GOFERRY" copy "$BUNDLE" "oci-archive:$DISK/app.tar:v1"`,
		"copy":    `"$GOFERRY" copy "$BUNDLE" "oci:$DISK/layout:v1"`,
		"unpack":  `"$GOFERRY" unpack --insecure-ignore-signature "$BUNDLE" "$DISK/site"`,
	} {
		t.Run(name, func(t *testing.T) {
			disk := tempDir(t)
			c := command{env: []string{"GOFERRY=" + binary, "DISK=" + disk, "BUNDLE=" + f.ref}}
			r := c.run(t, "unshare", "-m", "sh", "-c", `mount -t tmpfs -o size=1m tmpfs "$DISK" || exit
`+line+`
code=$?
find "$DISK" -name current -o -name app.tar
exit $code`)
			r.want(t, 7).says(t, disk)
			if r.stdout != "" {
				t.Errorf("a full disk left %s", r.stdout)
			}
		})
	}
}
