package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"

	"github.com/rogpeppe/go-internal/testscript"
)

// vault starts what of HashiCorp Vault's transit engine signs with the key "release", and sets $VAULT_ADDR to it. The
// token is "token".
func vault(ts *testscript.TestScript, neg bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	ts.Check(err)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var data map[string]any
		switch {
		case r.Header.Get("X-Vault-Token") != "token":
			http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
			return
		case r.Method == http.MethodGet && r.URL.Path == "/v1/transit/keys/release":
			data = map[string]any{"latest_version": 1, "keys": map[string]any{"1": map[string]any{"name": "P-256", "public_key": string(public)}}}
		case r.URL.Path == "/v1/transit/sign/release/sha2-256":
			var request struct{ Input []byte }
			json.NewDecoder(r.Body).Decode(&request)
			sig, err := key.Sign(rand.Reader, request.Input, nil)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			text, _ := json.Marshal(sig)
			data = map[string]any{"signature": "vault:v1:" + string(text[1:len(text)-1])}
		default:
			http.Error(w, `{"errors":[]}`, http.StatusNotFound)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"data": data})
	}))
	ts.Defer(server.Close)
	ts.Setenv("VAULT_ADDR", server.URL)
}
