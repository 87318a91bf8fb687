package gomod

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// buildEnv is the environment in which a tool is built. Nothing of the user's settings is in it, as all of them
// could change the executable; and no network, as all that is needed is in the scratch cache.
func buildEnv(user []string, p Platform, gopath, dir, scratch string) []string {
	env := slices.DeleteFunc(slices.Clone(user), func(line string) bool {
		return strings.HasPrefix(line, "GO") || strings.HasPrefix(line, "CGO_")
	})
	return append(env,
		"GOENV=off",
		"GOTOOLCHAIN=local",
		"GO111MODULE=on",
		"GOWORK=off",
		"GOFLAGS=-trimpath -buildvcs=false -modcacherw",
		"CGO_ENABLED=0",
		"GOOS="+p.OS, "GOARCH="+p.Arch,
		// What the go command takes where nobody says otherwise; a go.env could.
		"GO386=sse2", "GOAMD64=v1", "GOARM=7", "GOARM64=v8.0", "GOMIPS=hardfloat", "GOMIPS64=hardfloat",
		"GOPPC64=power8", "GORISCV64=rva20u64", "GOFIPS140=off",
		// The zips count, and not the extracted trees and .ziphash files, which the go command would not check.
		"GOPROXY="+fileURL(filepath.Join(dir, "proxy"))+","+fileURL(filepath.Join(scratch, "mod", "cache", "download")),
		"GOMODCACHE="+filepath.Join(scratch, "tools", "mod"),
		"GOPRIVATE=", "GONOPROXY=none", "GONOSUMDB=*", "GOSUMDB=off", "GOVCS=*:off", "GOAUTH=off",
		"GOPATH="+gopath,
		"GOCACHE="+filepath.Join(scratch, "tools", "cache"),
		"GOTMPDIR="+scratch,
	)
}

// fileURL is the URL of a directory in a list such as GOPROXY.
func fileURL(dir string) string {
	dir = filepath.ToSlash(dir)
	if !strings.HasPrefix(dir, "/") {
		dir = "/" + dir // C:/…
	}
	u := url.URL{Scheme: "file", Path: dir}
	return strings.ReplaceAll(u.String(), ",", "%2C")
}
