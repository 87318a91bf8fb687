package serve

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle"
)

// maxRows is how many module versions the page lists. What is beyond them is found by the search.
const maxRows = 5000

// What of a client's words the page takes: each word of a query is looked for in each row, and the host stands in many places.
const (
	maxQuery = 256
	maxHost  = 255
)

type pageData struct {
	URL, Host  string
	Plain      bool // HTTP, which docker wants to be told for other hosts than this
	Local      bool // the host is this machine
	Query      string
	SumDB      string // "" where no bundle carries a checksum database
	NoSumDB    string
	GoVersions []string // newest first
	Shells     []pageShell
	Dockerfile string // from the first bundle that is a runnable image; "" where none is
	Bundles    []pageBundle
	Toolchains []bundle.SiteToolchain
	Modules    []pageModule
	Shown      int // module versions on the page
	Found      int // that fit the query
	All        int // that are served
	Paths      int
}

type pageShell struct{ ID, Name, Lines string }

type pageBundle struct {
	Name, Reference, Digest string
	Copy                    string // the command that takes it away
	Title, Created          string
	Toolchain               string
	Platforms               []string
	Runnable                bool
	Modules                 int
	Size                    int64
}

type pageModule struct {
	Path, Escaped string
	Versions      []pageVersion
}

type pageVersion struct {
	bundle.SiteVersion
	Escaped string
}

// validHost is what a Host header may be to be shown: a name or an address, with a port or without.
var validHost = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

func (s *set) pageData(r *http.Request) (*pageData, error) {
	host, scheme := r.Host, "http"
	if len(host) > maxHost || !validHost.MatchString(host) {
		host = "localhost"
	}
	if r.TLS != nil {
		scheme = "https"
	}
	query := r.URL.Query().Get("q")
	if len(query) > maxQuery {
		query = strings.ToValidUTF8(query[:maxQuery], "")
	}
	env := s.environment()
	d := &pageData{
		URL: scheme + "://" + host, Host: host, Plain: r.TLS == nil, Local: isLocal(host),
		Query: query, Toolchains: s.site.Toolchains(), NoSumDB: s.site.Record().NoSumDB,
	}
	if env.SumDB != "off" {
		d.SumDB, _, _ = strings.Cut(env.SumDB, "+")
	}
	for _, sh := range []struct {
		name  string
		shell bundle.Shell
	}{{"sh, bash, zsh", bundle.Sh}, {"fish", bundle.Fish}, {"PowerShell", bundle.PowerShell}} {
		lines, err := bundle.ProxyEnv(d.URL, env.SumDB, env.NoSumDB, sh.shell)
		if err != nil {
			return nil, err
		}
		d.Shells = append(d.Shells, pageShell{string(sh.shell), sh.name, strings.TrimSuffix(lines, "\n")})
	}
	for _, t := range slices.Backward(d.Toolchains) {
		if !slices.Contains(d.GoVersions, t.GoVersion) {
			d.GoVersions = append(d.GoVersions, t.GoVersion)
		}
	}
	d.bundles(s.served)
	return d, d.modules(s.site.Modules())
}

func isLocal(host string) bool {
	for _, local := range []string{"localhost", "127.", "[::1]"} {
		if strings.HasPrefix(host, local) {
			return true
		}
	}
	return false
}

func (d *pageData) bundles(served []pageSource) {
	for _, b := range served {
		p := pageBundle{
			Name: b.name, Digest: b.info.Digest.String(), Reference: d.Host + "/" + b.repository + "@" + b.info.Digest.String(),
			Title: b.info.Annotations[ocispec.AnnotationTitle], Created: b.info.Annotations[ocispec.AnnotationCreated],
			Toolchain: b.info.Annotations[bundle.AnnotationToolchain],
			Modules:   len(b.info.Modules), Size: b.info.Size, Runnable: true,
		}
		if b.tag != "" {
			p.Reference = d.Host + "/" + b.repository + ":" + b.tag
		}
		for _, platform := range b.info.Platforms {
			p.Platforms = append(p.Platforms, platform.OS+"/"+platform.Architecture)
			p.Runnable = p.Runnable && platform.Runnable
		}
		if p.Runnable && p.Toolchain != "" && d.Dockerfile == "" {
			d.Dockerfile = "FROM " + p.Reference + "\nWORKDIR /src\nCOPY . .\nRUN [\"go\", \"build\", \"-o\", \"/app\", \".\"]"
		}
		p.Copy = "goferry copy " + p.Reference + " oci:bundle"
		if d.Plain {
			p.Copy = "goferry copy --plain-http " + p.Reference + " oci:bundle"
		}
		d.Bundles = append(d.Bundles, p)
	}
}

// modules lists the module versions with a zip that fit the query.
func (d *pageData) modules(all []bundle.SiteModule) error {
	words := strings.Fields(strings.ToLower(d.Query))
	for _, m := range all {
		row := pageModule{Path: m.Path}
		var err error
		if row.Escaped, err = module.EscapePath(m.Path); err != nil {
			return err
		}
		for _, v := range slices.Backward(m.Versions) {
			if v.Sum == "" {
				continue
			}
			d.All++
			if !fits(strings.ToLower(m.Path+"@"+v.Version), words) {
				continue
			}
			if d.Found++; d.Found > maxRows {
				continue
			}
			escaped, err := module.EscapeVersion(v.Version)
			if err != nil {
				return err
			}
			row.Versions = append(row.Versions, pageVersion{v, escaped})
		}
		if len(row.Versions) > 0 {
			d.Modules, d.Shown, d.Paths = append(d.Modules, row), d.Shown+len(row.Versions), d.Paths+1
		}
	}
	return nil
}

// fits says whether all words stand in text.
func fits(text string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

// humanSize is a size for people, in decimal units.
func humanSize(n int64) string {
	const units = "kMGT"
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, i := float64(n)/1000, 0
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if f < 9.95 {
		return fmt.Sprintf("%.1f %cB", f, units[i])
	}
	return fmt.Sprintf("%.0f %cB", f, units[i])
}
