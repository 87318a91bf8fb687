package oci

import "testing"

func TestOver(t *testing.T) {
	base, delta, v2 := baseAndDelta(t)
	mustBeWhole(t, Over(delta, base), v2)
	if _, err := Check(t.Context(), Over(delta, mustCreate(t, t.TempDir())), v2, CopyOptions{}); err == nil {
		t.Error("what neither has is read")
	}
	for _, desc := range mustDo(Walk(t.Context(), delta, v2)).Blobs {
		if !mustDo(Over(delta, base).Exists(t.Context(), desc)) {
			t.Errorf("%s does not exist", desc.Digest)
		}
	}
}
