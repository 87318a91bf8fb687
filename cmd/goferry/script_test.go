package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/sumdb"
)

func TestMain(m *testing.M) {
	// Scripts wait as often as they compute: for a server, for a retry's pause.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"goferry": main})
}

// TestScript runs testdata/script. Every script has a GOPROXY and a checksum database of its
// own, which serve testdata/mod and the script's .gomodproxy, and no other network.
//
// Commands beside testscript's own:
//
//	exits CODE COMMAND [ARG]…     run the command, which has to exit with the code
//	memregistry [FLAG]…           start a registry and set $REGISTRY; flags in registry_test.go
//	vault                         start a KMS that has one key and set $VAULT_ADDR, see vault_test.go
//	stalled                       wait until the registry holds up an upload of the command in the background
//	running                       remember the command in the background for exited
//	exited CODE                   what that command exited with, after wait
//	flipblob LAYOUT BLOB          change the byte in the middle of a blob, see damage_test.go
//	cutblob LAYOUT BLOB           cut its last byte off
//	rmblob LAYOUT BLOB            remove it
//	silently FILE                 change the byte in its middle, but neither size nor time
//	age DIR                       let all files below it be two days old
//	forgetag LAYOUT TAG JSON      replace the tag in index.json, where only JSON's rules are kept
//	empty DIR                     there must be nothing in it
//	events [FILE]                 each line of standard error has to be an event, see events.go; the last is the end
//	whole STAGE                   its last event has to have all bytes and items that it announced
//	growsumdb                     let the checksum database have records that nobody asks for
//	serving ARG…                  start "goferry serve" and set $SERVER to its URL, $SERVER_HOST to host and port
//	certificate CERT KEY          make a certificate for the server
//	logged PATTERN                wait until it has said so on stderr
//	served CODE                   end it; it has to exit with the code
//
// The condition [root] says that permissions do not stop the user.
func TestScript(t *testing.T) {
	gocache := goEnv(t, "GOCACHE")
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup:         func(env *testscript.Env) error { return setup(env, gocache) },
		Condition: func(cond string) (bool, error) {
			if cond != "root" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return os.Getuid() == 0, nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":       exits,
			"memregistry": memregistry,
			"vault":       vault,
			"stalled":     stalled,
			"running":     running,
			"exited":      exited,
			"flipblob":    flipBlob,
			"cutblob":     cutBlob,
			"rmblob":      removeBlob,
			"silently":    silently,
			"age":         age,
			"forgetag":    forgeTag,
			"empty":       empty,
			"events":      checkEvents,
			"whole":       whole,
			"growsumdb":   growSumDB,
			"serving":     serving,
			"certificate": certificate,
			"logged":      logged,
			"served":      served,
		},
	})
}

// setup gives a script an environment in which nothing is the user's but the build cache.
func setup(env *testscript.Env, gocache string) error {
	env.Values["world"] = &world{env: env}
	telemetry, err := noTelemetry()
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		telemetryDir:    telemetry,
		"HOME":          filepath.Join(env.WorkDir, "home"),
		"DOCKER_CONFIG": filepath.Join(env.WorkDir, "docker"),
		"GOFERRY_CACHE": filepath.Join(env.WorkDir, "cache"),
		"GOPATH":        filepath.Join(env.WorkDir, "gopath"),
		"GOCACHE":       gocache,
		"GOENV":         "off",
		"GOFLAGS":       "-modcacherw",
		"GOTOOLCHAIN":   "local",
		"GOOS":          runtime.GOOS,
		"GOARCH":        runtime.GOARCH,
		"NO_PROXY":      "127.0.0.1,localhost",
	} {
		env.Setenv(name, value)
	}
	return serveModules(env)
}

// telemetryDir is the variable that names the go command's telemetry directory.
const telemetryDir = "TEST_TELEMETRY_DIR"

// noTelemetry is the telemetry directory of a user who wants none. In another home the go command
// would leave a process that writes there when the test has ended.
func noTelemetry() (string, error) { return filepath.Abs("testdata/telemetry") }

// A world is what the commands of one script share.
type world struct {
	env        *testscript.Env
	server     *background
	stalled    chan struct{} // closed by the registry when it holds up a request
	background *exec.Cmd
	sumdb      *sumdb.TestServer
	grown      int // how often
}

func goEnv(t *testing.T, name string) string {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out[:len(out)-1])
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG]…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func stalled(ts *testscript.TestScript, neg bool, args []string) {
	running(ts, neg, args)
	select {
	case <-ts.Value("world").(*world).stalled:
	case <-time.After(20 * time.Second):
		ts.Fatalf("nothing was sent to the registry")
	}
}

func running(ts *testscript.TestScript, neg bool, args []string) {
	ts.Value("world").(*world).background = ts.BackgroundCmds()[0]
}

func exited(ts *testscript.TestScript, neg bool, args []string) {
	state := ts.Value("world").(*world).background.ProcessState
	if state == nil || len(args) != 1 || strconv.Itoa(state.ExitCode()) != args[0] {
		ts.Fatalf("command in the background: %v, want exit code %v", state, args)
	}
}

func forgeTag(ts *testscript.TestScript, neg bool, args []string) {
	name := ts.MkAbs(filepath.Join(args[0], "index.json"))
	ts.Check(os.WriteFile(name, []byte(strings.ReplaceAll(ts.ReadFile(name), `"`+args[1]+`"`, `"`+args[2]+`"`)), 0o644))
}

func empty(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		entries, err := os.ReadDir(ts.MkAbs(name))
		ts.Check(err)
		if len(entries) > 0 {
			ts.Fatalf("%s has %v", name, entries)
		}
	}
}
