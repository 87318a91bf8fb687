// Goferry carries Go modules and Go toolchains to a place without a network.
//
//	goferry pack --sign-key release.key -o oci:bundle              on the connected side
//	goferry unpack --key release.pub oci:bundle /opt/go-offline    on the isolated side
//
// This package turns words into values and values into words: flags, environment,
// stores, credentials, output and exit codes are settled here and nowhere else. What a
// bundle is, and what is done with it, is told in package bundle; how blobs are stored
// and moved, in package oci. There is one file for each command. The pages for users are
// in docs; tests hold that what they show works.
//
// # What a user can rely on
//
// Standard output has data and nothing else: the digest that pack and copy print, the
// text or JSON of inspect, verify, unpack and rehearse, the assignments of env, and what a
// command prints that is rehearsed. Everything else is for people, goes to standard error, and
// has "goferry: " before each line, but for serve's access log:
//
//	goferry: error: …    what is wrong
//	goferry: hint: …     what to type next, where goferry knows it
//	goferry: warning: …  what does not stop the command, but may surprise
//
// With --progress json it is for programs instead: every line is a JSON object, as events.go has
// it, and the last one says how it ended.
//
// Text that comes from a bundle, a registry or the go command is printed with its control
// characters escaped, so that it can neither move the cursor nor pretend to be goferry's.
//
// The exit code says what kind of failure it was; the codes are in errors.go and are never
// renumbered.
//
// Flags may stand before or behind the arguments. The command line library stops reading
// flags at the first argument, which would make "goferry pack DIR -o REF" a silent
// mistake, so args.go puts the flags in front first. One possibility would be to use a
// library that permutes, but then help, completion and flag values would still be ours to
// write, and this is two short functions.
//
// With --audit-log every command that touches bundles, keys or registries is recorded in a file,
// before it begins and when it ends. That is done around the commands, by what they have in
// common; audit.go and audit_trail.go have the fields. A hash of the line before is in each line.
// One possibility would be to sign them, but the key would be at hand for who changes them.
//
// The first interrupt cancels the command, which removes what is half done and exits 130;
// the second one kills it.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	// What lives long is small beside what passes through: collecting more often costs a
	// few per cent of time and saves a third of the memory.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(40)
	}
	os.Exit(run(os.Args))
}

// run is main without the exit, so that deferred functions run.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from here a second signal has its usual effect

	var stderr io.Writer = os.Stderr
	if wantsEvents(args) {
		stderr = newEvents(os.Stderr)
	}
	app := newApp(os.Stdin, os.Stdout, stderr)
	args, err := arrange(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	err = interrupted(ctx, err)
	if e, ok := stderr.(*events); ok {
		return e.end(err)
	}
	return report(stderr, err)
}

// interrupted returns err, or that the user stopped the command: whatever broke then broke because of that.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errInterrupted
	}
	return err
}
