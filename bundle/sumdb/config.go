package sumdb

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// knownKeys are the databases that the go command knows by name.
var knownKeys = map[string]string{
	"sum.golang.org": "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
}

// VerifierKey returns the name and the verifier key that a GOSUMDB setting
// stands for, "" for both if it is "off".
func VerifierKey(gosumdb string) (name, key string, err error) {
	if gosumdb == "off" {
		return "", "", nil
	}
	name, key, _, err = parseGOSUMDB(gosumdb)
	return name, key, err
}

// parseGOSUMDB reads "name[+hash+key] [url]" as the go command does. But a known
// database has the known key alone: reports and people go by its name.
func parseGOSUMDB(s string) (name, key, base string, err error) {
	if s == "sum.golang.google.cn" {
		s = "sum.golang.org https://sum.golang.google.cn"
	}
	f := strings.Fields(s)
	if len(f) == 0 || len(f) > 2 {
		return "", "", "", fmt.Errorf("invalid GOSUMDB %q", s)
	}
	key = f[0]
	if known := knownKeys[key]; known != "" {
		key = known
	}
	v, err := note.NewVerifier(key)
	if err != nil {
		return "", "", "", fmt.Errorf("invalid GOSUMDB %q: %w", s, err)
	}
	// The name becomes a directory and a host: no funny business in it.
	name = v.Name()
	if known := knownKeys[name]; known != "" && key != known {
		return "", "", "", fmt.Errorf("invalid GOSUMDB %q: this is not the key of %s", s, name)
	}
	u, err := url.Parse("https://" + name)
	if err != nil || u.Host == "" || u.String() != "https://"+name || path.Clean(name) != name || !fs.ValidPath(name) || strings.Contains(name, `\`) {
		return "", "", "", fmt.Errorf("invalid GOSUMDB name %q (must be host[/path])", name)
	}
	if len(f) == 2 {
		base = f[1]
	}
	return name, key, base, nil
}

// A proxy is one entry of GOPROXY.
type proxy struct {
	url        *url.URL // nil for "direct" and "off"
	direct     bool
	onAnyError bool // go on to the next after any error, not only after 404 and 410
}

func parseGOPROXY(list string) ([]proxy, error) {
	var all []proxy
	for list != "" {
		entry, rest, sep := list, "", byte(0)
		if i := strings.IndexAny(list, ",|"); i >= 0 {
			entry, rest, sep = list[:i], list[i+1:], list[i]
		}
		list = rest
		switch entry = strings.TrimSpace(entry); entry {
		case "":
			continue
		case "direct", "off":
			return append(all, proxy{direct: entry == "direct"}), nil
		}
		if strings.ContainsAny(entry, ".:/") && !strings.Contains(entry, ":/") && !filepath.IsAbs(entry) && !path.IsAbs(entry) {
			entry = "https://" + entry
		}
		u, err := url.Parse(entry)
		if err != nil {
			return nil, fmt.Errorf("invalid GOPROXY: %w", err)
		}
		all = append(all, proxy{url: u, onAnyError: sep == '|'})
	}
	return all, nil
}

type netrcLine struct{ machine, login, password string }

// parseNetrc reads the machine entries of a netrc file; like the go command it
// takes no notice of macros and of the default entry.
func parseNetrc(data string) []netrcLine {
	var all []netrcLine
	var l netrcLine
	inMacro := false
	for line := range strings.Lines(data) {
		f := strings.Fields(line)
		if inMacro {
			inMacro = len(f) > 0
			continue
		}
		for i := 0; i < len(f)-1; i += 2 {
			// A login or password may begin the entry of the next machine.
			switch f[i] {
			case "machine":
				l = netrcLine{machine: f[i+1]}
			case "login":
				l.login = f[i+1]
			case "password":
				l.password = f[i+1]
			case "macdef":
				inMacro = true
			case "default":
				return all
			}
			if l.machine != "" && l.login != "" && l.password != "" {
				all = append(all, l)
				l = netrcLine{}
			}
		}
		if len(f) > 0 && f[0] == "default" {
			return all
		}
	}
	return all
}
