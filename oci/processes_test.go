package oci

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain lets the test binary play one of many processes that write into one layout.
func TestMain(m *testing.M) {
	if dir := os.Getenv("OCI_TEST_WRITE"); dir != "" {
		if err := writeTags(dir, os.Getenv("OCI_TEST_NAME")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const tagsEach = 4

func writeTags(dir, name string) error {
	ctx := context.Background()
	s, err := Create(ctx, Reference{Transport: TransportLayout, Path: dir}, Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	for i := range tagsEach {
		w, err := s.(Ingester).Ingest(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, `{"schemaVersion":2,"manifests":[],"annotations":{"by":"%s-%d"}}`, name, i)
		desc, err := w.Commit("application/vnd.oci.image.index.v1+json")
		if err != nil {
			return err
		}
		if err := s.Tag(ctx, desc, fmt.Sprintf("%s-%d", name, i)); err != nil {
			return err
		}
	}
	return nil
}

func TestProcessesShareALayout(t *testing.T) {
	const processes = 16
	dir := filepath.Join(t.TempDir(), "layout") // which they also create together
	var cmds []*exec.Cmd
	for i := range processes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "OCI_TEST_WRITE="+dir, fmt.Sprint("OCI_TEST_NAME=p", i))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	s := mustOpen(t, dir)
	defer s.Close()
	tags := 0
	for tag, err := range s.Tags(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Resolve(t.Context(), tag); err != nil {
			t.Error(err)
		}
		tags++
	}
	if tags != processes*tagsEach {
		t.Errorf("%d tags, want %d", tags, processes*tagsEach)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
