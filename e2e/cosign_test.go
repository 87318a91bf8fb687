package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A cosign is a release of the real one.
type cosign struct{ module, version string }

var cosigns = []cosign{{"github.com/sigstore/cosign/v2", "v2.6.5"}, {"github.com/sigstore/cosign/v3", "v3.1.3"}}

// program is where the release was installed. Its modules are not in go.mod because two releases do not go together.
func (c cosign) program(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "goferry-e2e", "cosign-"+c.version)
	program := filepath.Join(dir, "cosign")
	if _, err := os.Stat(program); err != nil {
		missing(t, "this test needs cosign "+c.version+": GOBIN="+dir+" go install "+c.module+"/cmd/cosign@"+c.version)
	}
	return program
}

// wanted says whether a cell of the table is tried: all are with -accept, which takes minutes, else those that differ
// from others in one thing only.
func wanted(kind, registry string) bool {
	return *accept || kind == keyKinds[0] || registry == registries[0].name
}

// verify runs "cosign verify" as a place without a network has to: no transparency log, and a root that trusts nobody.
func (c cosign) verify(t *testing.T, key string, args ...string) result {
	t.Helper()
	flags := []string{"verify", "--key", key, "--insecure-ignore-tlog=true"}
	if c.version == "v2.6.5" {
		flags = append(flags, "--trusted-root", emptyRoot(t))
	}
	return command{}.run(t, c.program(t), append(flags, args...)...)
}

// emptyRoot is a trusted root that trusts nobody.
func emptyRoot(t *testing.T) string {
	t.Helper()
	root := filepath.Join(tempDir(t), "root.json")
	write(t, root, `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`)
	return root
}

// sign runs "cosign sign" without a transparency log, in one of the two forms.
func (c cosign) sign(t *testing.T, key, ref, format string) {
	t.Helper()
	flags := []string{"sign", "--key", key, "--tlog-upload=false", "--yes"}
	if c.version == "v2.6.5" {
		flags = append(flags, "--new-bundle-format="+map[string]string{"sig": "false", "bundle": "true"}[format])
	} else {
		flags = append(flags, "--use-signing-config=false", "--new-bundle-format="+map[string]string{"sig": "false", "bundle": "true"}[format])
	}
	command{env: []string{"COSIGN_PASSWORD=secret"}}.must(t, c.program(t), append(flags, ref)...)
}

var keyKinds = []string{"P-256", "RSA", "P-384", "Ed25519"}

// signingKeys imports a key of each kind and returns PREFIXes of "PREFIX.key" and "PREFIX.pub".
func signingKeys(t *testing.T) map[string]string {
	t.Helper()
	dir := tempDir(t)
	prefixes := make(map[string]string)
	for _, kind := range keyKinds {
		der, err := x509.MarshalPKCS8PrivateKey(newKey(t, kind))
		if err != nil {
			t.Fatal(err)
		}
		plain := filepath.Join(dir, kind+".pem")
		write(t, plain, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
		prefixes[kind] = filepath.Join(dir, kind)
		command{env: []string{"COSIGN_PASSWORD=secret"}}.must(t, binary, "keygen", "--import", plain, "--out", prefixes[kind])
	}
	return prefixes
}

func newKey(t *testing.T, kind string) (key crypto.PrivateKey) {
	t.Helper()
	var err error
	switch kind {
	case "P-256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "P-384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "RSA":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signWith(t *testing.T, args ...string) {
	t.Helper()
	command{env: []string{"COSIGN_PASSWORD=secret"}}.must(t, binary, append([]string{"sign"}, args...)...)
}

// TestCosignVerifies holds that both cosigns verify what goferry signs: with every kind of key, in every form, an index
// of two platforms and each image in it, in a registry of every generation, and in a layout that crossed as files.
func TestCosignVerifies(t *testing.T) {
	f := packModules(t)
	image := readJSON[ocispec.Index](t, f.dir, f.digest).Manifests[0].Digest.String()
	keys := signingKeys(t)
	for _, kind := range keyKinds {
		for _, format := range []string{"sig", "bundle", "both"} {
			dir, ref := f.clone(t)
			signWith(t, "--key", keys[kind]+".key", "--signature-format", format, "-a", "team=build", ref)
			for _, r := range registries {
				if !wanted(kind, r.name) {
					continue
				}
				t.Run(strings.Join([]string{kind, format, r.name}, " "), func(t *testing.T) {
					s := r.start(t, security{})
					repo := s.host + "/team/app"
					goferry(t, "copy", "--plain-http", ref, repo+":v1")
					for _, c := range cosigns {
						for _, target := range []string{":v1", "@" + f.digest, "@" + image} {
							c.verify(t, keys[kind]+".pub", "-a", "team=build", repo+target).want(t, 0)
						}
						if c.verify(t, keys[other(kind)]+".pub", repo+":v1").code == 0 {
							t.Errorf("cosign %s verifies with another key", c.version)
						}
					}
					goferry(t, "verify", "--plain-http", "--key", keys[kind]+".pub", "--require", "team=build", repo+":v1")
				})
			}
			if format == "bundle" {
				continue // cosign does not find the sigstore bundles of an index in a layout
			}
			t.Run(strings.Join([]string{kind, format, "layout"}, " "), func(t *testing.T) {
				for _, c := range cosigns {
					c.verify(t, keys[kind]+".pub", "-a", "team=build", "--local-image", dir).want(t, 0)
				}
			})
		}
	}
}

func other(kind string) string {
	if kind == "P-256" {
		return "P-384"
	}
	return "P-256"
}

// TestVerifiesCosign holds that goferry verifies what both cosigns sign, with keys that goferry made, though P-384 and
// Ed25519 cosign itself does not; in the registry, and when it was copied to a directory and an archive.
func TestVerifiesCosign(t *testing.T) {
	f := packModules(t)
	keys := signingKeys(t)
	for _, c := range cosigns {
		for _, r := range registries {
			for _, format := range []string{"sig", "bundle"} {
				t.Run(strings.Join([]string{c.version, r.name, format}, " "), func(t *testing.T) {
					s := r.start(t, security{})
					for _, kind := range keyKinds {
						if !wanted(kind, r.name) {
							continue
						}
						repo := s.host + "/" + strings.ToLower(kind)
						goferry(t, "copy", "--plain-http", f.ref, repo+":v1")
						c.sign(t, keys[kind]+".key", repo+"@"+f.digest, format)
						goferry(t, "verify", "--plain-http", "--key", keys[kind]+".pub", repo+":v1")
						refused(t, 3, "verify", "--plain-http", "--key", keys[other(kind)]+".pub", repo+":v1").says(t, "another key")
						dir := filepath.Join(tempDir(t), "layout")
						goferry(t, "copy", "--plain-http", repo+":v1", "oci:"+dir+":v1")
						goferry(t, "verify", "--key", keys[kind]+".pub", "oci:"+dir)
					}
				})
			}
		}
	}
}

// TestSignTogether holds that goferry adds to what a cosign has signed, and a cosign to what goferry has, so that
// neither signature hides the other from anybody.
func TestSignTogether(t *testing.T) {
	f := packModules(t)
	keys := signingKeys(t)
	for _, c := range cosigns {
		for _, format := range []string{"sig", "bundle"} {
			t.Run(c.version+" "+format, func(t *testing.T) {
				s := startInProcess(t, security{})
				repo := s.host + "/app"
				goferry(t, "copy", "--plain-http", f.ref, repo+":v1")
				c.sign(t, keys["P-256"]+".key", repo+"@"+f.digest, format)
				signWith(t, "--plain-http", "--key", keys["RSA"]+".key", repo+":v1")
				for _, kind := range []string{"P-256", "RSA"} {
					for _, reader := range cosigns {
						reader.verify(t, keys[kind]+".pub", repo+"@"+f.digest).want(t, 0)
					}
				}
				goferry(t, "verify", "--plain-http", "--key", keys["RSA"]+".pub", "--key", keys["P-256"]+".pub", "--threshold", "2", repo+":v1")
			})
		}
	}
}

// TestVerifyOffline holds that a signed layout is verified where there is no network at all, and no socket is asked for.
func TestVerifyOffline(t *testing.T) {
	needRoot(t)
	need(t, "strace", "apt-get install strace")
	f := packModules(t)
	keys := signingKeys(t)
	_, ref := f.clone(t)
	signWith(t, "--key", keys["P-256"]+".key", ref)
	log := filepath.Join(tempDir(t), "strace")
	command{}.must(t, "unshare", "-n", "strace", "-f", "-qq", "-e", "trace=socket,connect", "-e", "signal=none", "-o", log,
		binary, "verify", "--key", keys["P-256"]+".pub", ref)
	calls, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(calls), "socket(") {
		t.Errorf("verify asked for a socket:\n%s", calls)
	}
}

// TestSignaturesCrossWithOthers holds that other tools take our signatures out of a layout, and we theirs: regctl copies
// them, "cosign load" pushes them, and what "cosign save" wrote is verified. (With sigstore bundles "cosign load" of 3.1.3
// fails: it puts a manifest before the blob that the manifest names.)
func TestSignaturesCrossWithOthers(t *testing.T) {
	f := packModules(t)
	key := signingKeys(t)["P-256"]
	dir, ref := f.clone(t)
	signWith(t, "--key", key+".key", ref)
	s := startDebian(t, security{})
	regctl := command{env: []string{"REGCTL_CONFIG=" + filepath.Join(tempDir(t), "regctl.json")}}
	regctl.must(t, tool(t, "regctl"), "registry", "set", "--tls", "disabled", s.host)
	regctl.must(t, tool(t, "regctl"), "image", "copy", "--referrers", "--digest-tags", "ocidir://"+dir+":v1", s.host+"/regctl:v1")
	command{}.must(t, cosigns[0].program(t), "load", "--dir", dir, s.host+"/load:v1")
	for _, repo := range []string{s.host + "/regctl", s.host + "/load"} {
		goferry(t, "verify", "--plain-http", "--key", key+".pub", repo+":v1")
		for _, c := range cosigns {
			c.verify(t, key+".pub", repo+"@"+f.digest).want(t, 0)
		}
	}
	for _, c := range cosigns {
		saved := filepath.Join(tempDir(t), "saved")
		command{}.must(t, c.program(t), "save", "--dir", saved, s.host+"/load:v1")
		goferry(t, "verify", "--key", key+".pub", "oci:"+saved)
	}
}
