package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/lockedfile"
	"github.com/urfave/cli/v2"
)

// errAuditLog says that an audit log is not as goferry wrote it.
var errAuditLog = errors.New("audit log was changed")

func auditCommand() *cli.Command {
	return &cli.Command{
		Name:      "audit",
		Usage:     "check that an audit log is as it was written",
		ArgsUsage: "verify FILE",
		UsageText: "goferry audit verify [options] FILE",
		Description: "goferry copy --audit-log /var/log/goferry.log oci:bundle harbor.corp/go/app:v3\n" +
			"goferry audit verify /var/log/goferry.log\n\n" +
			"With --audit-log or $GOFERRY_AUDIT_LOG each command that touches bundles, keys or registries appends\n" +
			"a line of JSON before it begins, and does not begin if it cannot, and another when it ends: who\n" +
			"(user, UID, host), when, with which arguments, what was read and written with which digests, which\n" +
			"keys signed, what was decided on signatures, how much was done, and the exit code with the error.\n" +
			"A line \"begin\" without an \"end\" of the same run is of a goferry that was killed or still runs.\n\n" +
			"Each line has the digest of the line before. \"audit verify\" exits with 3 where one was changed, removed\n" +
			"or added, or none is left, and prints the digest of the last one. Only with that, kept elsewhere, can\n" +
			"be told later that no line was cut off the end, and that not all were written anew: --noted.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "noted", Usage: "demand that a line has the `DIGEST` that was the last line's before"},
			formatFlag(),
		},
		Action: audit,
	}
}

// An auditSummary is what audit verify --format json prints.
type auditSummary struct {
	Records    int           `json:"records"`
	Runs       int           `json:"runs"`
	Last       digest.Digest `json:"last,omitempty"` // of the last line
	Unfinished []auditRun    `json:"unfinished"`     // began and did not end
}

type auditRun struct {
	Run     string    `json:"run"`
	Command string    `json:"command"`
	Begun   time.Time `json:"begun"`
	User    string    `json:"user,omitempty"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
}

func audit(c *cli.Context) error {
	if c.Args().First() != "verify" || c.NArg() != 2 {
		return withHint(usagef("audit: it takes verify and a file"), "goferry audit %s", c.Command.ArgsUsage)
	}
	if err := checkFormat(c, "text", "json"); err != nil {
		return err
	}
	name := c.Args().Get(1)
	if info, err := os.Stat(name); err != nil {
		return err
	} else if !info.Mode().IsRegular() { // to open a pipe waits for somebody who writes into it
		return fmt.Errorf("%w: %s is not a regular file", errAuditLog, name)
	}
	f, err := lockedfile.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	summary, err := readAudit(f, digest.Digest(c.String("noted")))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if c.String("format") == "json" {
		return printJSON(c, summary)
	}
	for _, r := range summary.Unfinished {
		text := fmt.Sprintf("without an end: %s by %s on %s, process %d, at %s", r.Command, r.User, r.Host, r.PID, r.Begun.Format(time.RFC3339))
		if _, err := fmt.Fprintln(c.App.Writer, printable(text)); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.App.Writer, "%d records of %d runs, as they were written\nlast line: %s\n", summary.Records, summary.Runs, summary.Last)
	return err
}

// readAudit reads a log, and tells the first line that does not follow from the one before it.
func readAudit(r io.Reader, noted digest.Digest) (*auditSummary, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxAuditLine+1)
	lines.Split(scanRecords)
	summary := new(auditSummary)
	running, seen := make(map[string]auditRun), noted == ""
	for lines.Scan() {
		summary.Records++
		var record struct {
			auditRun
			Time     time.Time
			Event    string
			Previous digest.Digest
		}
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			return nil, fmt.Errorf("%w: line %d is no record: %w", errAuditLog, summary.Records, err)
		}
		if record.Previous != summary.Last {
			return nil, fmt.Errorf("%w: line %d does not follow from what is before it", errAuditLog, summary.Records)
		}
		summary.Last = digest.FromBytes(lines.Bytes())
		seen = seen || noted == summary.Last
		switch record.Event {
		case "begin":
			record.Begun = record.Time
			running[record.Run] = record.auditRun
			summary.Runs++
		case "end":
			delete(running, record.Run)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: line %d: %w", errAuditLog, summary.Records+1, err)
	}
	if summary.Records == 0 { // a log begins with the record of the command that made it
		return nil, fmt.Errorf("%w: it is empty", errAuditLog)
	}
	if !seen {
		return nil, fmt.Errorf("%w: no line has the digest %s", errAuditLog, noted)
	}
	summary.Unfinished = slices.AppendSeq([]auditRun{}, maps.Values(running))
	slices.SortFunc(summary.Unfinished, func(a, b auditRun) int {
		return cmp.Or(a.Begun.Compare(b.Begun), strings.Compare(a.Run, b.Run))
	})
	return summary, nil
}

// scanRecords is [bufio.ScanLines] that takes nothing off a line but its end, and refuses one that has none.
func scanRecords(data []byte, atEOF bool) (advance int, token []byte, err error) {
	line, _, ended := bytes.Cut(data, []byte("\n"))
	switch {
	case ended:
		return len(line) + 1, line, nil
	case atEOF && len(data) > 0:
		return 0, nil, errors.New("it is cut")
	}
	return 0, nil, nil
}
