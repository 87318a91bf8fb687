package main

import (
	"slices"
	"strings"
	"testing"
)

func TestParseConfig(t *testing.T) {
	_, err := parseConfig([]byte(`
defaults: &all
  scope: all
  platforms: [linux/amd64]
bundles:
  a:
    toolchains: [1.26, auto]
    requireSumDB: true
    claims: {team: build, "n": 1}
    destinations: ["oci:x", "oci:y:own"]
    tags: [v1, v2]
  b:
    <<: *all
    scope: build
    destinations: ["oci:z"]
`))
	if err == nil || !strings.Contains(err.Error(), `unknown key "<<"`) {
		t.Errorf("a merge key: %v, want that it is not known", err)
	}
	cfg, err := parseConfig([]byte(`
defaults: {scope: all, platforms: &p [linux/amd64]}
bundles:
  a:
    toolchains: [1.26, auto]
    requireSumDB: true
    claims: {team: &t build, "n": 1, again: *t}
    destinations: ["oci:x", "oci:y:own"]
    tags: [v1, v2]
  b: {scope: build, platforms: *p, destinations: ["oci:z"]}
`))
	if err != nil {
		t.Fatal(err)
	}
	a, b := cfg.bundles[0], cfg.bundles[1]
	want := []string{"--toolchain=1.26", "--toolchain=auto", "--platform=linux/amd64", "--scope=all", "--require-sumdb=true", "--claim=team=build", "--claim=n=1", "--claim=again=build"}
	if !slices.Equal(a.flags, want) {
		t.Errorf("a = %q, want %q", a.flags, want)
	}
	if refs, err := a.references(); err != nil || !slices.Equal(refs, []string{"oci:x:v1", "oci:x:v2", "oci:y:own"}) {
		t.Errorf("a goes to %q, %v", refs, err)
	}
	if want := []string{"--platform=linux/amd64", "--scope=build"}; !slices.Equal(b.flags, want) {
		t.Errorf("b = %q, want %q", b.flags, want)
	}
}

// TestDefaultsBehind holds that defaults hold wherever they stand.
func TestDefaultsBehind(t *testing.T) {
	cfg, err := parseConfig([]byte("bundles: {a: {destinations: [\"oci:x\"]}}\ndefaults: {scope: all}"))
	if err != nil || !slices.Equal(cfg.bundles[0].flags, []string{"--scope=all"}) {
		t.Errorf("defaults behind bundles: %+v, %v", cfg, err)
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for _, tt := range []struct{ name, data, want string }{
		{"nothing", "", "it is empty"},
		{"no bundle", "bundles: {}", "it names no bundle"},
		{"a list", "- a", "want names with values"},
		{"two documents", "bundles: {}\n---\nbundles: {}", "more than one document"},
		{"another word", "bundle: {}", `unknown key "bundle"`},
		{"a bundle that is text", "bundles: {a: b}", "a bundle: want names with values"},
		{"a list of lists", `bundles: {a: {projects: [[x]], destinations: ["oci:x"]}}`, "projects: want a list"},
		{"an empty name", `bundles: {a: {projects: [""], destinations: ["oci:x"]}}`, "an empty value"},
		{"a switch that is text", `bundles: {a: {requireSumDB: maybe, destinations: ["oci:x"]}}`, "want a switch"},
		{"a claim that is a list", `bundles: {a: {claims: {team: [x]}, destinations: ["oci:x"]}}`, "claims: team has no text"},
		{"a claim without a value", `bundles: {a: {claims: {team: }, destinations: ["oci:x"]}}`, "claims: team has no text"},
		{"a bad destination", `bundles: {a: {destinations: ["x"]}}`, "neither a host nor a path"},
		{"a bad tag", `bundles: {a: {destinations: ["oci:x"], tags: ["a b"]}}`, "malformed"},
		{"an archive under another tag", `bundles: {a: {destinations: ["oci:x:v1", "oci-archive:x.tar:v2"]}}`, "an archive has the first tag"},
		{"not YAML", "bundles: {a", "yaml"},
		{"an alias of itself", "bundles: &a {b: *a}", ""},
	} {
		_, err := parseConfig([]byte(tt.data))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if err != nil && exitCode(err) != exitUsage {
			t.Errorf("%s: exit code %d, want %d", tt.name, exitCode(err), exitUsage)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("bundles: {a: {destinations: [oci:x]}}"))
	f.Add([]byte("bundles: &a {b: *a}"))
	f.Add([]byte("defaults: &d {claims: {a: *d}}\nbundles: {a: *d}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if cfg, err := parseConfig(data); err == nil && len(cfg.bundles) == 0 {
			t.Errorf("no error and no bundle: %q", data)
		}
	})
}
