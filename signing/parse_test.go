package signing

import (
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

const (
	goodHex     = "a3863aee48eece3ee92adf73637b79111790f3484c2823a185f8c014b34801a6"
	goodDigest  = digest.Digest("sha256:" + goodHex)
	otherDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

	goodImage    = `"image":{"docker-manifest-digest":"sha256:` + goodHex + `"}`
	goodCritical = `"critical":{"identity":{"docker-reference":"r"},` + goodImage + `,"type":"cosign container image signature"}`
	goodPayload  = `{` + goodCritical + `,"optional":{"a":"1"}}`

	goodSubject   = `{"digest":{"sha256":"` + goodHex + `"},"annotations":{"a":"1"}}`
	goodPredicate = `"predicateType":"https://sigstore.dev/cosign/sign/v1"`
	goodStatement = `{"_type":"https://in-toto.io/Statement/v1","subject":[` + goodSubject + `],` + goodPredicate + `,"predicate":{}}`

	goodMaterial = `"verificationMaterial":{"publicKey":{"hint":"x"}}`
	goodType     = `"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"`
)

// payloadCases are payloads by the rule that they keep or break.
var payloadCases = map[string]struct {
	data string
	good bool
}{
	"as cosign has it":            {goodPayload, true},
	"no claims":                   {`{` + goodCritical + `,"optional":null}`, true},
	"no optional":                 {`{` + goodCritical + `}`, true},
	"space around":                {" \n" + goodPayload + "\n\t", true},
	"claim that is no word":       {`{` + goodCritical + `,"optional":{"n":1,"a":"1"}}`, true},
	"digest twice":                {strings.Replace(goodPayload, goodImage, `"image":{"docker-manifest-digest":"`+otherDigest+`","docker-manifest-digest":"sha256:`+goodHex+`"}`, 1), false},
	"digest in another case":      {strings.Replace(goodPayload, "docker-manifest-digest", "Docker-Manifest-Digest", 1), false},
	"two cases of one key":        {strings.Replace(goodPayload, `"image"`, `"Image":{"docker-manifest-digest":"`+otherDigest+`"},"image"`, 1), false},
	"critical twice":              {strings.Replace(goodPayload, `"optional"`, goodCritical+`,"optional"`, 1), false},
	"claim twice":                 {strings.Replace(goodPayload, `"a":"1"`, `"a":"1","a":"2"`, 1), false},
	"claims that are a list":      {`{` + goodCritical + `,"optional":["a"]}`, false},
	"unknown key":                 {strings.Replace(goodPayload, `"optional"`, `"x":1,"optional"`, 1), false},
	"data behind":                 {goodPayload + `{}`, false},
	"a second payload behind":     {goodPayload + goodPayload, false},
	"another type":                {strings.Replace(goodPayload, payloadType, "atomic container signature", 1), false},
	"no type":                     {`{"critical":{"identity":{},` + goodImage + `}}`, false},
	"no identity":                 {`{"critical":{` + goodImage + `,"type":"cosign container image signature"}}`, false},
	"no image":                    {strings.Replace(goodPayload, goodImage, `"image":null`, 1), false},
	"no digest":                   {strings.Replace(goodPayload, goodImage, `"image":{}`, 1), false},
	"another digest":              {strings.Replace(goodPayload, "sha256:"+goodHex, otherDigest, 1), false},
	"digest in capitals":          {strings.Replace(goodPayload, goodHex, strings.ToUpper(goodHex), 1), false},
	"digest of another kind":      {strings.Replace(goodPayload, "sha256:"+goodHex, "sha512:"+goodHex+goodHex, 1), false},
	"digest that is a path":       {strings.Replace(goodPayload, goodHex, "../../etc/passwd", 1), false},
	"digest that is a number":     {strings.Replace(goodPayload, goodImage, `"image":{"docker-manifest-digest":1}`, 1), false},
	"not UTF-8":                   {strings.Replace(goodPayload, `"r"`, "\"\xff\"", 1), false},
	"cut":                         {goodPayload[:len(goodPayload)-1], false},
	"empty":                       {"", false},
	"null":                        {"null", false},
	"list":                        {"[" + goodPayload + "]", false},
	"deeper than anybody nests":   {`{` + goodCritical + `,"optional":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, false},
	"a sigstore bundle's payload": {goodStatement, false},
}

// statementCases are in-toto statements, likewise.
var statementCases = map[string]struct {
	data string
	good bool
}{
	"as cosign 3 has it":          {goodStatement, true},
	"as cosign 2 has it":          {`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + goodHex + `"}}],` + goodPredicate + `}`, true},
	"older type":                  {strings.Replace(goodStatement, "Statement/v1", "Statement/v0.1", 1), true},
	"others beside the subject":   {strings.Replace(goodStatement, goodSubject, `null,{"name":"x","digest":{"sha1":"00"}},`+goodSubject, 1), true},
	"attestation":                 {strings.Replace(goodStatement, PredicateType, "https://slsa.dev/provenance/v1", 1), false},
	"no predicateType":            {strings.Replace(goodStatement, goodPredicate+",", "", 1), false},
	"predicateType twice":         {strings.Replace(goodStatement, goodPredicate, `"predicateType":"https://slsa.dev/provenance/v1",`+goodPredicate, 1), false},
	"predicateType in other case": {strings.Replace(goodStatement, "predicateType", "predicatetype", 1), false},
	"another type":                {strings.Replace(goodStatement, "https://in-toto.io/Statement/v1", "https://example.com", 1), false},
	"no subject":                  {strings.Replace(goodStatement, goodSubject, "", 1), false},
	"null for the subjects":       {strings.Replace(goodStatement, "["+goodSubject+"]", "null", 1), false},
	"another subject":             {strings.Replace(goodStatement, goodHex, otherDigest[7:], 1), false},
	"the subject twice":           {strings.Replace(goodStatement, goodSubject, goodSubject+","+goodSubject, 1), false},
	"two digests of one kind":     {strings.Replace(goodStatement, `{"sha256":`, `{"sha256":"`+otherDigest[7:]+`","sha256":`, 1), false},
	"digest twice":                {strings.Replace(goodStatement, `{"digest":`, `{"digest":{"sha256":"`+otherDigest[7:]+`"},"digest":`, 1), false},
	"digest under another name":   {strings.Replace(goodStatement, `"sha256"`, `"SHA256"`, 1), false},
	"digest in capitals":          {strings.Replace(goodStatement, goodHex, strings.ToUpper(goodHex), 1), false},
	"subject that is a word":      {strings.Replace(goodStatement, goodSubject, `"sha256"`, 1), false},
	"unknown key":                 {strings.Replace(goodStatement, `"_type"`, `"x":1,"_type"`, 1), false},
	"data behind":                 {goodStatement + " x", false},
	"a payload":                   {goodPayload, false},
}

// TestPayloadRules holds what is accepted of a payload that the right key signed.
func TestPayloadRules(t *testing.T) {
	s := mustSigner(t, newKey(t, elliptic.P256()))
	for name, tt := range payloadCases {
		t.Run(name, func(t *testing.T) {
			raw, err := s.sign([]byte(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			sig, err := ParsePayload([]byte(tt.data), base64.StdEncoding.EncodeToString(raw))
			if err != nil {
				t.Fatal(err)
			}
			st, err := sig.Verify(s.Verifier(), goodDigest)
			judge(t, st, err, tt.good)
		})
	}
}

func TestStatementRules(t *testing.T) {
	s := mustSigner(t, newKey(t, elliptic.P256()))
	for name, tt := range statementCases {
		t.Run(name, func(t *testing.T) {
			sig, err := ParseBundle([]byte(bundleOf(t, s, tt.data)))
			if err != nil {
				t.Fatal(err)
			}
			st, err := sig.Verify(s.Verifier(), goodDigest)
			judge(t, st, err, tt.good)
			if got := sig.Concerns(goodDigest); got != tt.good {
				t.Errorf("Concerns = %v, want %v", got, tt.good)
			}
		})
	}
}

func judge(t *testing.T, st Statement, err error, good bool) {
	t.Helper()
	if good && (err != nil || st.Digest != goodDigest) {
		t.Errorf("Verify = %v, %v, want %s", st, err, goodDigest)
	}
	if !good && !errors.Is(err, ErrMalformed) {
		t.Errorf("Verify = %v, %v, want ErrMalformed", st, err)
	}
}

// bundleOf signs a statement as it is.
func bundleOf(t testing.TB, s *Signer, statement string) string {
	t.Helper()
	raw, err := s.sign(dsse.PAE(inTotoType, []byte(statement)))
	if err != nil {
		t.Fatal(err)
	}
	return `{` + goodType + `,` + goodMaterial + `,"dsseEnvelope":` + envelopeOf(statement, raw) + `}`
}

func envelopeOf(statement string, sig []byte) string {
	b64 := base64.StdEncoding.EncodeToString
	return `{"payload":"` + b64([]byte(statement)) + `","payloadType":"` + inTotoType + `","signatures":[{"sig":"` + b64(sig) + `"}]}`
}

// TestBundleRules holds what a sigstore bundle has to be, before anybody's key comes into play.
func TestBundleRules(t *testing.T) {
	s := mustSigner(t, newKey(t, elliptic.P256()))
	good := bundleOf(t, s, goodStatement)
	begin := strings.Index(good, `"signatures":`)
	signatures := good[begin : len(good)-2]
	one := strings.TrimSuffix(strings.TrimPrefix(signatures, `"signatures":[`), "]")
	replace := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	for name, tt := range map[string]struct {
		data string
		good bool
	}{
		"as it is":                 {good, true},
		"with a transparency log":  {replace(`{"publicKey"`, `{"tlogEntries":[{"logIndex":"1"}],"publicKey"`), true},
		"with timestamps":          {replace(`{"publicKey"`, `{"timestampVerificationData":{},"publicKey"`), true},
		"with a key id":            {replace(`{"sig"`, `{"keyid":"x","sig"`), true},
		"certificate":              {replace(`"publicKey"`, `"certificate"`), false},
		"no material":              {replace(goodMaterial+",", ""), false},
		"older version":            {replace("v0.3", "v0.1"), false},
		"no media type":            {replace(goodType+",", ""), false},
		"message signature":        {replace("dsseEnvelope", "messageSignature"), false},
		"envelope twice":           {replace(`"dsseEnvelope"`, `"dsseEnvelope":{},"dsseEnvelope"`), false},
		"envelope in another case": {replace("dsseEnvelope", "DsseEnvelope"), false},
		"unknown key":              {replace(`{`, `{"x":1,`), false},
		"no signature":             {replace(signatures, `"signatures":[]`), false},
		"null for a signature":     {replace(signatures, `"signatures":[null]`), false},
		"two signatures":           {replace(one, one+","+one), false},
		"empty signature":          {replace(one, `{"sig":""}`), false},
		"signature not base64":     {replace(one, `{"sig":"?"}`), false},
		"a long signature":         {replace(one, `{"sig":"`+strings.Repeat("A", maxSignature+4)+`"}`), false},
		"payload not base64":       {replace(`"payload":"`, `"payload":"?`), false},
		"another payload type":     {replace(inTotoType, "text/plain"), false},
		"data behind":              {good + "{}", false},
		"200 kB":                   {good + strings.Repeat(" ", 200_000), false},
		"empty":                    {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseBundle([]byte(tt.data))
			if tt.good && err != nil || !tt.good && !errors.Is(err, ErrMalformed) {
				t.Errorf("ParseBundle: %v, want good = %v", err, tt.good)
			}
		})
	}
	for name, sig := range map[string]string{"empty": "", "not base64": "?", "long": strings.Repeat("A", maxSignature+4)} {
		if _, err := ParsePayload([]byte(goodPayload), sig); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParsePayload with a signature that is %s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := ParsePayload(make([]byte, maxPayload+1), "QQ=="); !errors.Is(err, ErrMalformed) {
		t.Errorf("ParsePayload of too many bytes: %v, want ErrMalformed", err)
	}
}

// FuzzPayload holds that no digest is read that does not stand in the payload.
func FuzzPayload(f *testing.F) {
	for _, tt := range payloadCases {
		f.Add([]byte(tt.data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		st, err := readPayload(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%v is not ErrMalformed", err)
			}
			return
		}
		if !strings.Contains(string(data), st.Digest.Encoded()) && !strings.Contains(string(data), `\u`) {
			t.Errorf("%s stands nowhere in %q", st.Digest, data)
		}
	})
}

func FuzzBundle(f *testing.F) {
	s := mustSigner(f, newKey(f, elliptic.P256()))
	for _, tt := range statementCases {
		f.Add([]byte(bundleOf(f, s, tt.data)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sig, err := ParseBundle(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%v is not ErrMalformed", err)
			}
			return
		}
		if st, err := sig.read(goodDigest); err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%v is not ErrMalformed", err)
			}
		} else if st.Digest != goodDigest {
			t.Errorf("a statement about %s was found when asking for %s", st.Digest, goodDigest)
		}
	})
}

func FuzzStatement(f *testing.F) {
	for _, tt := range statementCases {
		f.Add([]byte(tt.data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		st, err := readStatement(data, goodDigest)
		if err == nil && st.predicateType == PredicateType && (st.Digest != goodDigest || !strings.Contains(string(data), "cosign/sign/v1") && !strings.Contains(string(data), `\u`)) {
			t.Errorf("%q was taken for a signature of %s", data, st.Digest)
		}
	})
}

// FuzzKey holds that no file makes reading a key panic, or take the memory that scrypt could.
func FuzzKey(f *testing.F) {
	for _, name := range []string{"release.key", "release.pub", "imp-rsa2048.pub", "imp-ed25519.pub"} {
		f.Add(readFile(f, "keys/"+name))
	}
	f.Add([]byte(weakRSA))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := ParseVerifier(data); err != nil && !errors.Is(err, ErrKey) {
			t.Errorf("%v is not ErrKey", err)
		}
		locked := errors.New("locked")
		if _, err := ParseSigner(data, func() ([]byte, error) { return nil, locked }); err != nil && !errors.Is(err, ErrKey) && err != locked {
			t.Errorf("%v is not ErrKey", err)
		}
	})
}
