package serve

import (
	"bytes"
	"html/template"
	"net/http"
)

var pageTemplate = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>goferry</title>
<h1>goferry</h1>
<p>{{.Modules}} module versions, from</p>
<ul>{{range .Bundles}}<li>{{.}}</li>{{end}}</ul>
<pre>export GOPROXY={{.URL}}
export GOSUMDB={{.Env.SumDB}}
export GONOSUMDB={{.Env.NoSumDB}}
export GONOPROXY=none</pre>
</html>
`))

// page is for people.
func (s *set) page(w http.ResponseWriter, r *http.Request) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		Modules int
		Bundles []string
		URL     string
		Env     Env
	}{s.modules, s.names, scheme + "://" + r.Host, s.environment()})
	if err != nil {
		plain(w, http.StatusInternalServerError, err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Write(b.Bytes())
}
