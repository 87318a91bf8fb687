package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/goferry/goferry/oci/space"
)

func TestLocalErrors(t *testing.T) {
	full := &space.Error{Path: "x"}
	for _, tt := range []struct{ err, want error }{
		{fmt.Errorf("y: %w", full), ErrNoSpace},
		{fs.ErrNotExist, ErrNotFound},
		{fmt.Errorf("z: %w", context.Canceled), context.Canceled},
		{fs.ErrPermission, fs.ErrPermission},
	} {
		got := local(tt.err)
		if !errors.Is(got, tt.want) || !errors.Is(got, tt.err) || got.Error() != tt.err.Error() {
			t.Errorf("local(%v) = %v, want the same that is %v", tt.err, got, tt.want)
		}
	}
	if local(nil) != nil {
		t.Error("local(nil) is an error")
	}
}
