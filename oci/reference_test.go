package oci

import (
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

const hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParseReference(t *testing.T) {
	d := digest.Digest("sha256:" + hex64)
	for in, want := range map[string]Reference{
		"oci:dir":                 {Transport: TransportLayout, Path: "dir"},
		"oci:/a/b:v1":             {Transport: TransportLayout, Path: "/a/b", Tag: "v1"},
		"oci:a:b/c":               {Transport: TransportLayout, Path: "a:b/c"},
		"oci:a@b:v1":              {Transport: TransportLayout, Path: "a@b", Tag: "v1"},
		`oci:C:\dir`:              {Transport: TransportLayout, Path: `C:\dir`},
		`C:\dir:v1`:               {Transport: TransportLayout, Path: `C:\dir`, Tag: "v1"},
		"./dir:v1":                {Transport: TransportLayout, Path: "./dir", Tag: "v1"},
		"/dir@" + string(d):       {Transport: TransportLayout, Path: "/dir", Digest: d},
		"..":                      {Transport: TransportLayout, Path: ".."},
		"oci-archive:a.tar":       {Transport: TransportArchive, Path: "a.tar"},
		"oci-archive:a.tar:1.0_x": {Transport: TransportArchive, Path: "a.tar", Tag: "1.0_x"},
		"-":                       {Transport: TransportArchive, Path: "-"},
		"oci-archive:-:v1":        {Transport: TransportArchive, Path: "-", Tag: "v1"},
		"docker://h/r":            {Transport: TransportRegistry, Host: "h", Repository: "r"},
		"harbor.corp/go/app:v3":   {Transport: TransportRegistry, Host: "harbor.corp", Repository: "go/app", Tag: "v3"},
		"localhost/r":             {Transport: TransportRegistry, Host: "localhost", Repository: "r"},
		"127.0.0.1:5000/r:v1@" + string(d): {
			Transport: TransportRegistry, Host: "127.0.0.1:5000", Repository: "r", Tag: "v1", Digest: d,
		},
	} {
		got, err := ParseReference(in)
		if err != nil || got != want {
			t.Errorf("ParseReference(%q) = %+v, %v, want %+v", in, got, err, want)
		}
		if again, err := ParseReference(got.String()); err != nil || again != got {
			t.Errorf("ParseReference(%q) = %+v, %v, want %+v", got.String(), again, err, got)
		}
	}
}

func TestParseReferenceRefuses(t *testing.T) {
	for _, in := range []string{
		"", "dir", "ubuntu:22.04", "library/ubuntu", "oci:", "oci::v1", "oci:dir:", "oci:dir:a b", "oci-archive:",
		"oci:dir@sha256:00", "oci:dir@sha512:" + hex64, "oci:dir@sha256:" + strings.ToUpper(hex64),
		"docker://", "docker://host", "docker://host/", "docker://host/UPPER", "docker://host/r:", "docker://host/r:-x",
		"docker://ho st/r", "docker://user@host/r", "docker://host/r@sha256:x", "docker://host/../r", "oci:a\x00b",
	} {
		if got, err := ParseReference(in); !errors.Is(err, ErrUsage) {
			t.Errorf("ParseReference(%q) = %+v, %v, want ErrUsage", in, got, err)
		}
	}
}

func TestReferenceTarget(t *testing.T) {
	r, err := ParseReference("h.example/r")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Target(); got != "" {
		t.Errorf("Target = %q, want none", got)
	}
	if got := r.TagOr("latest").Target(); got != "latest" {
		t.Errorf("TagOr.Target = %q", got)
	}
	r.Tag, r.Digest = "v1", "sha256:"+hex64
	if got := r.TagOr("latest").Target(); got != string(r.Digest) {
		t.Errorf("Target = %q, want the digest", got)
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"oci:a:b", "oci:C:\\x:y", "oci-archive:@:x", "docker://h:1/r:t@sha256:" + hex64, "oci:x@sha256:" + hex64 + "@sha256:" + hex64, "./:", "oci:/:a", "[::1]:5000/r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseReference(s)
		if err != nil {
			if !errors.Is(err, ErrUsage) {
				t.Errorf("error %v is not ErrUsage", err)
			}
			return
		}
		if again, err := ParseReference(r.String()); err != nil || again != r {
			t.Errorf("ParseReference(%q) = %+v, %v, want %+v", r.String(), again, err, r)
		}
	})
}
