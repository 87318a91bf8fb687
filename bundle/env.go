package bundle

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// A Shell is a kind of command interpreter that Env writes for.
type Shell string

// The shells that Env knows.
const (
	Sh         Shell = "sh" // and bash, zsh, dash
	Fish       Shell = "fish"
	PowerShell Shell = "powershell"
)

// Env returns the lines that make a shell use what was unpacked into dir.
func Env(dir string, shell Shell) (string, error) {
	current, err := unpackedAt(dir)
	if err != nil {
		return "", err
	}
	record, err := os.ReadFile(filepath.Join(current, genRecord))
	if err != nil {
		return "", err
	}
	r, err := parseRecord(record)
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Join(current, genRecord), err)
	}
	s, err := readState(current)
	if err != nil {
		return "", err
	}
	return (&tree{dir: filepath.Dir(current)}).env(r, s.Extract, shell)
}

// settings hands over what makes a generation usable: GOROOT/go.env, the env file, the record.
func (t *tree) settings(write writeFunc, r *Record, extract bool) error {
	record, err := r.encode()
	if err != nil {
		return err
	}
	if err := write(genRecord, record); err != nil {
		return err
	}
	env, err := t.env(r, extract, Sh)
	if err != nil {
		return err
	}
	if err := write(genEnv, []byte(env)); err != nil {
		return err
	}
	if r.GoVersion == "" {
		return nil
	}
	lines := t.goEnv(r, extract)
	return write(genGo+"/go.env", []byte("# Written by goferry. The environment and \"go env -w\" go before it.\n"+strings.Join(lines, "\n")+"\n"))
}

// goEnv is the go command's environment to use the current generation, as "NAME=value".
func (t *tree) goEnv(r *Record, extract bool) []string {
	lines := r.goEnv(t.fileURL(genDownload))
	if extract {
		lines = append(lines, "GOMODCACHE="+filepath.Join(t.dir, linkCurrent, genMod))
	}
	return lines
}

// fileURL is the URL of a directory in the current generation.
func (t *tree) fileURL(name string) string {
	p := filepath.ToSlash(filepath.Join(t.dir, linkCurrent, filepath.FromSlash(name)))
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // C:/…
	}
	u := url.URL{Scheme: "file", Path: p}
	return strings.ReplaceAll(u.String(), ",", "%2C") // GOPROXY is a list
}

func (t *tree) env(r *Record, extract bool, shell Shell) (string, error) {
	var b strings.Builder
	if r.GoVersion != "" || len(r.Tools) > 0 {
		bin := filepath.Join(t.dir, linkCurrent, genGo, "bin")
		switch shell {
		case Sh:
			fmt.Fprintf(&b, "export PATH=%s:\"$PATH\"\nunset GOROOT\n", quoteSh(bin))
		case Fish:
			fmt.Fprintf(&b, "set -gx PATH %s $PATH\nset -e GOROOT\n", quoteFish(bin))
		case PowerShell:
			fmt.Fprintf(&b, "$env:PATH = %s + [IO.Path]::PathSeparator + $env:PATH\nRemove-Item Env:GOROOT -ErrorAction SilentlyContinue\n", quotePowerShell(bin))
		}
	}
	for _, line := range t.goEnv(r, extract) {
		name, value, _ := strings.Cut(line, "=")
		text, err := shell.assign(name, value)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// assign is the line that sets a variable of the environment.
func (shell Shell) assign(name, value string) (string, error) {
	switch shell {
	case Sh:
		return fmt.Sprintf("export %s=%s\n", name, quoteSh(value)), nil
	case Fish:
		return fmt.Sprintf("set -gx %s %s\n", name, quoteFish(value)), nil
	case PowerShell:
		return fmt.Sprintf("$env:%s = %s\n", name, quotePowerShell(value)), nil
	}
	return "", fmt.Errorf("shell %q: want %s, %s or %s", shell, Sh, Fish, PowerShell)
}

func quoteSh(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func quoteFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

func quotePowerShell(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
