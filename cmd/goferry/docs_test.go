package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// pages returns the documentation by its file names, from the top of the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, pattern := range []string{"README.md", "*/README.md", "cmd/goferry/docs/*.md"} {
		names, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d pages, %v", pattern, len(names), err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			found[name] = strings.ReplaceAll(string(data), "\r\n", "\n")
		}
	}
	return found
}

var (
	pageLink  = regexp.MustCompile(`\]\(([^):#]+)\)`)
	shellText = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	yamlText  = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	inlineRun = regexp.MustCompile("`(goferry [a-z][^`]*)`")
)

// TestPages holds that the documentation leads nowhere that is not there, and shows no command or flag that does not exist.
func TestPages(t *testing.T) {
	for name, text := range pages(t) {
		for _, m := range pageLink.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, m := range shellText.FindAllStringSubmatch(text, -1) {
			for line := range strings.Lines(m[1]) {
				checkExample(t, name, line)
			}
		}
		for _, m := range inlineRun.FindAllStringSubmatch(text, -1) {
			checkExample(t, name, strings.ReplaceAll(m[1], "\n", " "))
		}
	}
}

// TestPageOfKeys holds that the page about goferry.yaml has what goferry says of its keys.
func TestPageOfKeys(t *testing.T) {
	page := pages(t)[filepath.FromSlash("../../cmd/goferry/docs/pack.md")]
	for _, key := range configKeys {
		if row := fmt.Sprintf("| `%s` | %s | %s |\n", key.name, key.kind, key.about); !strings.Contains(page, row) {
			t.Errorf("pack.md does not have the row %s", row)
		}
	}
}

// TestPageOfConfigs holds that every goferry.yaml in the documentation is one.
func TestPageOfConfigs(t *testing.T) {
	found := 0
	for name, text := range pages(t) {
		for _, m := range yamlText.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], "bundles:") {
				continue
			}
			found++
			if _, err := parseConfig([]byte(m[1])); err != nil {
				t.Errorf("%s: %v in\n%s", name, err, m[1])
			}
		}
	}
	if found < 2 {
		t.Errorf("%d files are shown", found)
	}
}

// TestHelp holds that every command tells what it is for and shows how it is called, and every flag what it does.
func TestHelp(t *testing.T) {
	const widest = 110
	app := newApp(strings.NewReader(""), io.Discard, io.Discard)
	for _, cmd := range app.VisibleCommands() {
		lines := exampleLines(cmd.Description)
		if cmd.Usage == "" || len(lines) == 0 {
			t.Errorf("%s: usage %q, %d examples", cmd.Name, cmd.Usage, len(lines))
		}
		for _, line := range lines {
			checkExample(t, "help "+cmd.Name, line)
		}
		for line := range strings.Lines(cmd.Description) {
			if n := utf8.RuneCountInString(line); n > widest && !strings.HasPrefix(line, "goferry ") {
				t.Errorf("%s: a line of %d characters, at most %d fit: %s", cmd.Name, n, widest, line)
			}
		}
		if text := cmd.UsageText; text != strings.TrimSpace(text) || !strings.HasPrefix(text, "goferry "+cmd.Name) {
			t.Errorf("%s: it is called as %q", cmd.Name, text)
		}
		for _, flag := range cmd.VisibleFlags() {
			if _, doc, _ := strings.Cut(flagHelp(flag), "\t"); doc == "" {
				t.Errorf("%s: the flag %v has no text", cmd.Name, flag.Names())
			}
		}
	}
	for _, line := range exampleLines(helpBefore) {
		checkExample(t, "help", line)
	}
	for _, code := range []int{exitDone, exitFailed, exitUsage, exitMismatch, exitNoAccess, exitNetwork, exitIncomplete, exitNoSpace, exitInterruption} {
		if !strings.Contains(helpBehind, fmt.Sprintf("\n   %-3d  ", code)) {
			t.Errorf("the help does not tell of the exit code %d", code)
		}
	}
}

var variable = regexp.MustCompile(`(?:Getenv|LookupEnv)\("([A-Z_]+)"\)|EnvVars: +\[\]string{"([A-Z_]+)"}|"(COSIGN_[A-Z]+)"`)

// TestHelpOfVariables holds that the help, and the page for scripts, name every variable that goferry looks at. What all
// programs look at need not be said.
func TestHelpOfVariables(t *testing.T) {
	everybodys := []string{"GOGC", "TERM", "XDG_STATE_HOME"}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range sources {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, m := range variable.FindAllStringSubmatch(string(data), -1) {
			v := m[1] + m[2] + m[3]
			found++
			for where, text := range map[string]string{"help": helpBehind, "scripts.md": pages(t)[filepath.FromSlash("../../cmd/goferry/docs/scripts.md")]} {
				if !slices.Contains(everybodys, v) && !strings.Contains(text, v) {
					t.Errorf("%s reads %s, which %s does not name", name, v, where)
				}
			}
		}
	}
	if found < 6 {
		t.Errorf("%d variables are read", found)
	}
}

// TestCompletion holds that what shells complete are all commands and flags.
func TestCompletion(t *testing.T) {
	app := newApp(strings.NewReader(""), io.Discard, io.Discard)
	fish, err := app.ToFishCompletion()
	if err != nil {
		t.Fatal(err)
	}
	args := os.Args // which the library looks at
	defer func() { os.Args = args }()
	for _, cmd := range app.VisibleCommands() {
		var out bytes.Buffer
		os.Args = []string{"goferry", cmd.Name, "-", completionFlag}
		if err := newApp(strings.NewReader(""), &out, io.Discard).Run(os.Args); err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(out.String())
		for _, flag := range cmd.VisibleFlags() {
			name := flag.Names()[0]
			if !slices.Contains(words, dashed(name)) {
				t.Errorf("%s: %s is not completed, but %q", cmd.Name, dashed(name), words)
			}
			if len(name) > 1 && !regexp.MustCompile(`__fish_seen_subcommand_from `+strings.Join(cmd.Names(), " ")+`'.* -l `+name+`\b`).MatchString(fish) {
				t.Errorf("fish: %s %s is not completed", cmd.Name, dashed(name))
			}
		}
	}
}

var exampleLine = regexp.MustCompile(`^goferry [a-z]`)

// exampleLines returns the lines of a description that are commands.
func exampleLines(description string) (lines []string) {
	for line := range strings.Lines(description) {
		if line = strings.TrimSpace(line); exampleLine.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

var (
	comment    = regexp.MustCompile(`\s(#|   ).*$`)
	otherThing = regexp.MustCompile(`[|<>;&)]+`)
)

// checkExample holds that the commands and flags of a line exist. Words behind a comment or several spaces are for people.
func checkExample(t *testing.T, where, line string) {
	t.Helper()
	for part := range strings.SplitSeq(otherThing.ReplaceAllString(comment.ReplaceAllString(line, ""), "\n"), "\n") {
		_, call, ok := strings.Cut(" "+part, " goferry ")
		if !ok || strings.Contains(part, "go doc") {
			continue
		}
		app := newApp(strings.NewReader(""), io.Discard, io.Discard)
		words := strings.Fields("goferry " + strings.NewReplacer(`"`, "", `'`, "").Replace(call))
		if app.Command(words[1]) == nil {
			t.Errorf("%s: %q is no command, in %q", where, words[1], line)
		}
		if _, err := arrange(app, words); err != nil {
			t.Errorf("%s: %v, in %q", where, err, line)
		}
	}
}
