package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

	"github.com/goferry/goferry/bundle/sumdb"
	"github.com/goferry/goferry/oci"
)

// Env is what a go command's environment has to be beside GOPROXY, as /goferry/env.json has it.
type Env struct {
	SumDB   string `json:"sumdb"`   // GOSUMDB: a name, or name and key; "off": no bundle carries a database
	NoSumDB string `json:"noSumDB"` // GONOSUMDB: "none", or what the database does not cover
}

const envPath = "goferry/env.json"

// FetchEnv asks the server at url. Whatever it answers is nothing else in a shell's environment than what it is here.
func FetchEnv(ctx context.Context, client *http.Client, url string) (e Env, err error) {
	url = strings.TrimSuffix(url, "/") + "/" + envPath
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return e, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return e, fmt.Errorf("%w: %w", oci.ErrNetwork, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return e, fmt.Errorf("GET %s: %w", r.URL.Redacted(), oci.ErrUnauthorized)
	default:
		return e, fmt.Errorf("GET %s: %s: is it \"goferry serve\"?", r.URL.Redacted(), resp.Status)
	}
	const most = 64 << 10
	data, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return e, fmt.Errorf("%w: GET %s: %w", oci.ErrNetwork, r.URL.Redacted(), err)
	}
	if err = oci.DecodeStrict(data, &e); err == nil {
		err = e.check()
	}
	if err != nil {
		return e, fmt.Errorf("GET %s: %w", r.URL.Redacted(), err)
	}
	return e, nil
}

// check refuses values that no server would have.
func (e Env) check() error {
	if _, _, err := sumdb.VerifierKey(e.SumDB); err != nil {
		return err
	}
	if e.NoSumDB == "" {
		return errors.New("it has no noSumDB")
	}
	for _, value := range []string{e.SumDB, e.NoSumDB} {
		if strings.ContainsFunc(value, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) }) {
			return fmt.Errorf("%q has a space or control character", value)
		}
	}
	return nil
}

func (s *set) env(w http.ResponseWriter) {
	data, err := json.Marshal(s.environment())
	if err != nil {
		plain(w, http.StatusInternalServerError, err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache")
	w.Write(append(data, '\n'))
}

func (s *set) environment() Env {
	record := s.site.Record()
	e := Env{SumDB: record.SumDB, NoSumDB: record.NoSumDB}
	if e.SumDB == "" {
		e.SumDB = "off"
	}
	if e.NoSumDB == "" {
		e.NoSumDB = "none" // an empty one would mean GOPRIVATE
	}
	return e
}
