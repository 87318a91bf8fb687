package serve

import (
	"encoding/json"
	"net/http"
)

// Env is what a go command's environment has to be beside GOPROXY, as /goferry/env.json has it.
type Env struct {
	SumDB   string `json:"sumdb"`   // GOSUMDB: a name, or name and key; "off": no bundle carries a database
	NoSumDB string `json:"noSumDB"` // GONOSUMDB: "none", or what the database does not cover
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
