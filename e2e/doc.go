// Package e2e runs the goferry that was just built against the world as it is: real registries, skopeo, crane, regctl,
// docker, buildah and podman as independent readers, cosign as signer and verifier, and a real go command that has no network, and sticks
// and disks that are full, read-only or pulled out. Nothing is mocked.
//
// It is a module of its own, so that what it takes to run a registry never becomes a dependency of goferry's.
// The peers written in Go are pinned as tools in go.mod and built by the go command; the others are Debian's. Of cosign
// there are two releases, whose modules do not go together: they are looked for in the user's cache, where .ci/run
// installs them.
//
// Rules:
//   - Only the module proxy that the go command is configured with is asked for anything; every server is on 127.0.0.1
//     and takes a port that the kernel chose.
//   - Offline means "unshare -n" and an empty environment: no test may believe that it is offline.
//   - The sh blocks of the documentation's walk-throughs are run as they stand (see walkthrough_test.go).
//   - Where a tool is missing the test is skipped and says how to get it. With GOFERRY_E2E_REQUIRE set, as in CI, it fails.
//   - What takes minutes stands behind a flag: -accept runs the whole journey for real projects (see accept_test.go) and
//     the whole table of keys and registries with cosign,
//     -figures measures whole commands against what people do today (see figures_test.go and
//     figures_serve_test.go), and what the bundle of a team costs (see team_test.go).
//
// One possibility would be to run this inside testscript, like the tests of the commands. But here the interesting part is
// what other programs make of our bytes, and whether a process died in time: that is easier to read in Go.
package e2e
