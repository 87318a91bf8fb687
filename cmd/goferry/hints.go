package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/oci/space"
	"github.com/goferry/goferry/signing"
)

// hint returns what to type next, or "" where goferry does not know. A hint that was made
// where the error happened goes before what follows from the kind of error.
func hint(err error) string {
	var hinted *hintedError
	if errors.As(err, &hinted) {
		return hinted.hint
	}
	var unknownAuthority x509.UnknownAuthorityError
	var noModule *gomod.ModuleError
	var apart *bundle.UnconnectedError
	var answer *oci.ResponseError
	if errors.As(err, &answer) {
		return registryHint(answer)
	}
	var host *oci.HostError
	var word *bundle.WordError
	switch {
	case errors.As(err, &host):
		return fmt.Sprintf("if %s is a part of the registry, add --allow-host %[1]s", host.Host)
	case errors.As(err, &apart):
		return fmt.Sprintf("pack the newer one again, with \"goferry pack --since %s\" and the flags it was packed with", apart.Older)
	case errors.Is(err, gomod.ErrNoProject), errors.Is(err, gomod.ErrNoDir):
		return "name the project with \"goferry pack -C DIR\", or modules without one with \"--module PATH@VERSION\""
	case errors.Is(err, gomod.ErrTaken):
		return "give the directory a version of its own, as in \"--local DIR@v1.4.1\""
	case errors.Is(err, bundle.ErrNotInSumDB):
		return "let the checksum database be asked (\"go env GOSUMDB GONOSUMDB GOPRIVATE\"), or pack without --require-sumdb"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "the registry speaks plain HTTP: if that is meant, add --plain-http"
	case errors.As(err, &unknownAuthority):
		return "the registry's certificate is signed by an authority unknown here: name its certificate with --ca-file"
	case errors.Is(err, signing.ErrPassword):
		return "the password is what " + passwordVariable + " holds, else what is typed or comes on standard input"
	case errors.Is(err, signing.ErrKey):
		return keyHint
	case errors.Is(err, bundle.ErrNotEmpty):
		return "name a directory that is not there yet, or one that goferry has unpacked into before"
	case errors.As(err, &word):
		return wordHint(word)
	case errors.Is(err, bundle.ErrRollback):
		return "if the older one is meant, add --allow-rollback"
	case errors.Is(err, bundle.ErrNotUnpacked):
		return "\"goferry unpack REF DIR\" makes one; what is in a bundle is listed with \"goferry inspect REF\""
	case errors.Is(err, bundle.ErrNoPlatform):
		return "name one that it has with --platform, or pack it again for that one, too: \"goferry pack --platform OS/ARCH\""
	case errors.Is(err, bundle.ErrHidden):
		return "leave --signature-format out: goferry takes the form that hides nothing"
	case space.TooLarge(err):
		return "write a layout, which has a file for each blob (oci:DIR), or volumes (--volume-size 4GB)"
	case oci.Unreadable(err):
		return "the medium may have been pulled out, or be broken; what has been copied is not copied again"
	case oci.NoSpace(err):
		return "make room and run the same command again"
	case errors.Is(err, bundle.ErrIncomplete):
		return "\"goferry verify\" names all that is missing or damaged, and \"goferry repair --from REF\" fetches just that"
	case errors.Is(err, gomod.ErrAuth):
		return "the go command found no access: see GOAUTH, GOPRIVATE and ~/.netrc in \"go help goauth\""
	case strings.Contains(err.Error(), "build cache is required"):
		return "the go command needs a place for its caches: set HOME, or GOCACHE and GOPATH"
	case errors.As(err, &noModule), errors.Is(err, gomod.ErrNetwork), strings.Contains(err.Error(), "404 Not Found"):
		return "modules come through the go command's own settings: see \"go env GOPROXY GOPRIVATE GONOPROXY\""
	}
	return ""
}

func wordHint(e *bundle.WordError) string {
	if near := nearest(e.Word, e.Known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "it has " + strings.Join(e.Known, ", ")
}
