package rehearse

import (
	"os"
	"runtime"
	"slices"
	"strings"
)

// kept are the variables of the user's that a command may see; LC_* too.
var kept = []string{
	"PATH", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "COLORTERM", "NO_COLOR",
	// without these nothing runs on Windows
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE",
}

// closedPort is where no proxy is.
const closedPort = "http://127.0.0.1:9"

// environ is the environment of the commands, but for GOPROXY.
func (r *Rehearsal) environ() []string {
	isProxy := func(line string) bool { return strings.HasPrefix(line, "GOPROXY=") }
	if r.image != nil {
		return slices.DeleteFunc(slices.Clone(r.image), isProxy)
	}
	var env []string
	path := ""
	for _, line := range r.user {
		name, value, _ := strings.Cut(line, "=")
		if runtime.GOOS == "windows" {
			name = strings.ToUpper(name)
		}
		switch {
		case name == "PATH":
			path = value
		case slices.Contains(kept, name), strings.HasPrefix(name, "LC_"):
			env = append(env, line)
		}
	}
	if r.Bundle.GoVersion != "" {
		path = r.path(dirSite, "current", "go", "bin") + string(os.PathListSeparator) + path
	}
	home, tmp := r.path(dirHome), r.path(dirTmp)
	if runtime.GOOS == "windows" {
		env = append(env, "USERPROFILE="+home, "TMP="+tmp, "TEMP="+tmp)
	} else {
		env = append(env, "HOME="+home, "TMPDIR="+tmp)
	}
	env = append(env,
		"PATH="+path,
		"GOPATH="+r.path(dirHome, "go"),
		"GOMODCACHE="+r.modCache(),
		"GOCACHE="+r.path(dirHome, "go-build"),
		"GOENV=off",
	)
	if !r.how.namespaces {
		env = append(env, "HTTP_PROXY="+closedPort, "HTTPS_PROXY="+closedPort, "ALL_PROXY="+closedPort,
			"http_proxy="+closedPort, "https_proxy="+closedPort, "all_proxy="+closedPort,
			"NO_PROXY=127.0.0.1,localhost,::1", "no_proxy=127.0.0.1,localhost,::1")
	}
	return append(env, slices.DeleteFunc(slices.Clone(r.Bundle.GoEnv), isProxy)...)
}
