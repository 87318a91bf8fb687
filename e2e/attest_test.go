package e2e

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// statementsOf runs "cosign verify-attestation" and returns what it verified: a DSSE envelope on each line.
func (c cosign) statementsOf(t *testing.T, key, kind, ref string) (statements []string, code int) {
	t.Helper()
	flags := []string{"verify-attestation", "--key", key, "--insecure-ignore-tlog=true", "--type", kind}
	if c.version == "v2.6.5" {
		flags = append(flags, "--trusted-root", emptyRoot(t))
	}
	r := command{}.run(t, c.program(t), append(flags, ref)...)
	for line := range strings.Lines(r.stdout) {
		var envelope struct{ Payload string }
		if err := json.Unmarshal([]byte(line), &envelope); err != nil {
			t.Fatalf("cosign %s prints %q: %v", c.version, line, err)
		}
		statement, err := base64.StdEncoding.DecodeString(envelope.Payload)
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, string(statement))
	}
	return statements, r.code
}

// attest runs "cosign attest" without a transparency log: as an envelope with the tag .att, or as a sigstore bundle.
func (c cosign) attest(t *testing.T, key, kind, predicate, ref, format string) {
	t.Helper()
	flags := []string{"attest", "--key", key, "--type", kind, "--predicate", predicate, "--tlog-upload=false", "--yes"}
	flags = append(flags, "--new-bundle-format="+map[string]string{"att": "false", "bundle": "true"}[format])
	if c.version == "v3.1.3" {
		flags = append(flags, "--use-signing-config=false")
	}
	command{env: []string{"COSIGN_PASSWORD=secret"}}.must(t, c.program(t), append(flags, ref)...)
}

func attestWith(t *testing.T, args ...string) {
	t.Helper()
	command{env: []string{"COSIGN_PASSWORD=secret"}}.must(t, binary, append([]string{"attest"}, args...)...)
}

// predicates writes a file for each of cosign's names of types, as cosign wants it for the type.
func predicates(t *testing.T) map[string]string {
	t.Helper()
	dir, files := tempDir(t), make(map[string]string)
	for kind, text := range map[string]string{
		"custom":           "any <text>\n",
		"cyclonedx":        `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[]}`,
		"openvex":          `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex","author":"a","timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[]}`,
		"slsaprovenance":   `{"builder":{"id":"https://example.com/b"},"buildType":"https://example.com/t"}`,
		"slsaprovenance1":  `{"buildDefinition":{"buildType":"https://example.com/t","externalParameters":{"a":"<&>"}},"runDetails":{"builder":{"id":"https://example.com/b"}}}`,
		"spdx":             "SPDXVersion: SPDX-2.3\n",
		"spdxjson":         `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT"}`,
		"vuln":             `{"invocation":{"parameters":null,"uri":"","event_id":"","builder.id":""},"scanner":{"uri":"s","version":"1","db":{"uri":"","version":""},"result":{}},"metadata":{"scanStartedOn":"2026-01-01T00:00:00Z","scanFinishedOn":"2026-01-01T00:00:00Z"}}`,
		"https://e.org/r1": `{"reviewed":true}`,
	} {
		files[kind] = filepath.Join(dir, strings.ReplaceAll(kind, "/", "-"))
		write(t, files[kind], text)
	}
	return files
}

// TestCosignVerifiesAttestations holds that both cosigns verify what goferry attests, of every type, in a registry of
// every generation, and go on verifying what is signed there.
func TestCosignVerifiesAttestations(t *testing.T) {
	f := packModules(t)
	key, files := signingKeys(t)["P-256"], predicates(t)
	_, ref := f.clone(t)
	signWith(t, "--key", key+".key", ref)
	for kind, file := range files {
		attestWith(t, "--key", key+".key", "--type", kind, "--predicate", file, ref)
	}
	image := readJSON[ocispec.Index](t, f.dir, f.digest).Manifests[0].Digest.String()
	for _, r := range registries {
		t.Run(r.name, func(t *testing.T) {
			repo := r.start(t, security{}).host + "/team/app"
			goferry(t, "copy", "--plain-http", ref, repo+":v1")
			for _, c := range cosigns {
				for kind := range files {
					statements, code := c.statementsOf(t, key+".pub", kind, repo+"@"+f.digest)
					if code != 0 || len(statements) == 0 || !strings.Contains(statements[0], strings.TrimPrefix(f.digest, "sha256:")) {
						t.Errorf("cosign %s verify-attestation --type %s: %d, %q", c.version, kind, code, statements)
					}
				}
				if _, code := c.statementsOf(t, key+".pub", "link", repo+"@"+f.digest); code == 0 {
					t.Errorf("cosign %s verifies an attestation that nobody made", c.version)
				}
				for _, target := range []string{":v1", "@" + f.digest, "@" + image} {
					c.verify(t, key+".pub", repo+target).want(t, 0)
				}
			}
		})
	}
}

// TestVerifiesCosignAttestations holds that goferry verifies what both cosigns attest, in each of their forms, in the
// registry and where it was copied to; and that nothing a stranger attests keeps anybody from verifying a signature.
func TestVerifiesCosignAttestations(t *testing.T) {
	f := packModules(t)
	keys, files := signingKeys(t), predicates(t)
	key, stranger := keys["P-256"], keys["RSA"]
	_, ref := f.clone(t)
	signWith(t, "--key", key+".key", ref)
	for _, r := range registries {
		for _, c := range cosigns {
			for _, format := range []string{"att", "bundle"} {
				t.Run(strings.Join([]string{r.name, c.version, format}, " "), func(t *testing.T) {
					repo := r.start(t, security{}).host + "/team/app"
					goferry(t, "copy", "--plain-http", ref, repo+":v1")
					verify := []string{"verify", "--key", key + ".pub", "--attestation", "slsaprovenance1"}
					c.attest(t, stranger+".key", "slsaprovenance1", files["slsaprovenance1"], repo+"@"+f.digest, format)
					goferry(t, "verify", "--plain-http", "--key", key+".pub", repo+":v1")
					refused(t, 3, append(verify, "--plain-http", repo+":v1")...).says(t, "by another key")
					c.attest(t, key+".key", "slsaprovenance1", files["slsaprovenance1"], repo+"@"+f.digest, format)
					goferry(t, append(verify, "--plain-http", repo+":v1")...)
					layout, said := filepath.Join(tempDir(t), "layout"), filepath.Join(tempDir(t), "said.json")
					goferry(t, "copy", "--plain-http", repo+":v1", "oci:"+layout+":v1")
					goferry(t, append(verify, "--predicate-out", said, "oci:"+layout)...)
					if text, err := os.ReadFile(said); err != nil || !strings.Contains(string(text), `"buildType":"https://example.com/t"`) {
						t.Errorf("the predicate is %q, %v", text, err)
					}
					for _, reader := range cosigns {
						reader.verify(t, key+".pub", repo+"@"+f.digest).want(t, 0)
					}
				})
			}
		}
	}
}

// TestCosignVerifiesProvenance holds that both cosigns verify the provenance and the bill of materials that goferry
// attaches to what it packs.
func TestCosignVerifiesProvenance(t *testing.T) {
	key := signingKeys(t)["P-256"]
	ref := "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
	packed := command{env: []string{"COSIGN_PASSWORD=secret"}}.must(t, binary, "pack", "-C", "testdata/hello", "--toolchain", "none", "--sign-key", key+".key", "-o", ref)
	repo := startInProcess(t, security{}).host + "/team/app"
	goferry(t, "copy", "--plain-http", ref, repo+":v1")
	for _, c := range cosigns {
		c.verify(t, key+".pub", repo+":v1").want(t, 0)
		for kind, says := range map[string]string{"slsaprovenance1": `"dirHash1":"`, "cyclonedx": `"purl":"pkg:golang/`} {
			statements, code := c.statementsOf(t, key+".pub", kind, repo+"@"+strings.TrimSpace(packed))
			if code != 0 || len(statements) != 1 || !strings.Contains(statements[0], says) {
				t.Errorf("cosign %s verify-attestation --type %s: %d, %q", c.version, kind, code, statements)
			}
		}
	}
}
