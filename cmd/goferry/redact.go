package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// What may stand where a secret is, in a word of a command line or in an error that quotes one.
var (
	secretUserinfo = regexp.MustCompile(`(://)[^/\s"']*@(sha\d+:)?`)                          // https://NAME:PASSWORD@HOST
	secretQuery    = regexp.MustCompile(`(://[^\s"'?]*\?)[^\s"'#]+`)                          // https://HOST/?token=…
	secretPassword = regexp.MustCompile(`((?:^|[\s"'=,])[^/@:\s"'=,]+:)[^/\s"']+@(sha\d+:)?`) // NAME:PASSWORD@HOST
	secretValue    = regexp.MustCompile(`(?i)([a-z0-9_.-]*(?:token|secret|passw|credential|auth|apikey|api_key)[a-z0-9_.-]*=)[^\s"']+`)
)

const redacted = "***"

// redact takes out of a text what may be a secret. goferry takes none as an argument, but people try.
func redact(text string) string {
	for _, pattern := range []*regexp.Regexp{secretUserinfo, secretPassword} {
		text = pattern.ReplaceAllStringFunc(text, func(found string) string {
			m := pattern.FindStringSubmatch(found)
			if m[2] != "" || strings.HasSuffix(m[1], "oci:") || strings.HasSuffix(m[1], "oci-archive:") {
				return found // a tag before a digest, or a path
			}
			return m[1] + redacted + "@"
		})
	}
	text = secretQuery.ReplaceAllString(text, "${1}"+redacted)
	return secretValue.ReplaceAllString(text, "${1}"+redacted)
}

// rehearsed is where in the words of a command line the name of a command stands that is rehearsed, and the number of
// words where there is none.
func rehearsed(args []string) int {
	if i := slices.Index(args, "--"); i > 0 && args[0] == "rehearse" {
		return min(i+1, len(args))
	}
	return len(args)
}

func more(args []string) string { return fmt.Sprintf("(%d more)", len(args)) }

// hideRehearsed takes the arguments of a command that is rehearsed out of an error.
func hideRehearsed(text string, args []string) string {
	at := rehearsed(args)
	if at+1 >= len(args) {
		return text
	}
	hidden := args[at+1:]
	return strings.ReplaceAll(text, printable(strings.Join(hidden, " ")), more(hidden))
}

// redactArgs is redact for the words of a command line. Of a command to rehearse only the name is kept.
func redactArgs(args []string) []string {
	kept := make([]string, 0, len(args))
	at := rehearsed(args)
	for i, arg := range args {
		if i > at {
			kept = append(kept, more(args[i:]))
			break
		}
		if i > 0 && (args[i-1] == "-u" || strings.HasSuffix(args[i-1], "-username")) || strings.HasPrefix(arg, "-u=") || strings.Contains(arg, "-username=") {
			if name, _, ok := strings.Cut(arg, ":"); ok {
				arg = name + ":" + redacted
			}
		}
		kept = append(kept, redact(arg))
	}
	return kept
}

// auditText is a text for the audit log: redacted, and not longer than anybody reads.
func auditText(text string) string {
	const longest = 64 << 10
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return redact(text)
}
