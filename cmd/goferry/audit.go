package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle/rehearse"
)

// An auditRecord is one line of the audit log. A run of a command has one with the event "begin", written before anything
// else is done, and one with "end"; where there is none, goferry was killed or still runs. A server writes "serving" when
// it begins and whenever what it serves is renewed, and "refused" with the error where it cannot be.
//
// Fields are added, never renamed.
type auditRecord struct {
	Time    time.Time `json:"time"`
	Run     string    `json:"run"` // random, the same in all records of a run
	Event   string    `json:"event"`
	Command string    `json:"command"`

	*auditWho
	*auditWork

	Bundles  []auditPlace `json:"bundles,omitempty"` // that are served
	Begun    *time.Time   `json:"begun,omitempty"`   // at the end
	ExitCode *int         `json:"exitCode,omitempty"`
	Error    string       `json:"error,omitempty"`

	Previous string `json:"previous,omitempty"` // digest of the line before, without its end; the first line has none
}

// auditWho says who began what, and where.
type auditWho struct {
	Args     []string `json:"args"`           // without secrets
	User     string   `json:"user,omitempty"` // as the system calls UID, whatever the environment says
	UID      string   `json:"uid"`
	LoginUID string   `json:"loginUID,omitempty"` // who logged in, before any sudo; Linux
	Host     string   `json:"host"`
	PID      int      `json:"pid"`
	Dir      string   `json:"dir"`
	Goferry  string   `json:"goferry"` // version
}

// unrecorded are the commands that touch no bundle, no key and no registry.
var unrecorded = []string{"env", "audit", "completion", "version", "help", rehearse.ChildCommand}

// record has what the command does recorded in the audit log, if there is one.
func record(cmd *cli.Command) {
	if slices.Contains(unrecorded, cmd.Name) {
		return
	}
	cmd.Flags = append(cmd.Flags, &cli.StringFlag{
		Name: "audit-log", Category: "Record", EnvVars: []string{"GOFERRY_AUDIT_LOG"},
		Usage: "append to `FILE` who does what, with which digests and keys, and how it ends (see \"goferry help audit\"; default: $GOFERRY_AUDIT_LOG)",
	})
	action := cmd.Action
	cmd.Action = func(c *cli.Context) error {
		file := c.String("audit-log")
		if file == "" {
			return action(c)
		}
		t, err := beginTrail(file, c.Command.Name)
		if err != nil {
			return err
		}
		c.Context = context.WithValue(c.Context, trailKey{}, t)
		err = interrupted(c.Context, action(c))
		if endErr := t.end(err); endErr != nil {
			return errors.Join(err, endErr)
		}
		return err
	}
}

// beginTrail writes the record without which the command does not begin.
func beginTrail(file, command string) (*trail, error) {
	t := &trail{file: file, run: strings.ToLower(rand.Text()), command: command, begun: now()}
	return t, t.write(auditRecord{Time: t.begun, Event: "begin", auditWho: whoami()})
}

// end writes the record of how the command ended.
func (t *trail) end(err error) error {
	code := exitCode(err)
	r := auditRecord{Event: "end", Begun: &t.begun, ExitCode: &code}
	if err != nil {
		r.Error = auditText(hideRehearsed(errorText(err), os.Args[1:]))
	}
	return t.write(r)
}

// whoami leaves out what cannot be found out.
func whoami() *auditWho {
	who := &auditWho{Args: redactArgs(os.Args[1:]), PID: os.Getpid(), Goferry: buildVersion().Version}
	who.Host, _ = os.Hostname()
	who.Dir, _ = os.Getwd()
	if u, err := user.Current(); err == nil {
		who.UID = u.Uid
		if u, err := user.LookupId(u.Uid); err == nil { // Current may believe $USER
			who.User = u.Username
		}
	}
	const none = "4294967295" // as the kernel says that nobody did
	if id, err := os.ReadFile("/proc/self/loginuid"); err == nil && strings.TrimSpace(string(id)) != none {
		who.LoginUID = strings.TrimSpace(string(id))
	}
	return who
}
