package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestImports holds the direction of imports, cmd/goferry -> bundle -> oci and signing, which do
// not know each other, and that words and streams of the process are the command's alone.
func TestImports(t *testing.T) {
	const modulePath = "github.com/goferry/goferry/"
	mayImport := map[string][]string{
		"cmd": {"bundle", "oci", "signing"}, "bundle": {"bundle", "oci", "signing"}, "oci": {"oci"}, "signing": {"signing"},
	}
	root := filepath.Join("..", "..")
	for room, allowed := range mayImport {
		err := filepath.WalkDir(filepath.Join(root, room), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			for _, spec := range file.Imports {
				name, _ := strconv.Unquote(spec.Path.Value)
				if rest, ours := strings.CutPrefix(name, modulePath); ours && !slices.Contains(allowed, strings.Split(rest, "/")[0]) {
					t.Errorf("%s imports %s", path, name)
				}
			}
			if room != "cmd" && !strings.HasSuffix(path, "_test.go") {
				refuseProcess(t, path, file)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// refuseProcess reports uses of the process's arguments, environment and streams.
func refuseProcess(t *testing.T, path string, file *ast.File) {
	private := []string{"Args", "Stdin", "Stdout", "Stderr", "Exit", "Getenv", "LookupEnv", "Environ", "ExpandEnv"}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "os" && slices.Contains(private, sel.Sel.Name) {
				t.Errorf("%s uses os.%s, which is cmd/goferry's", path, sel.Sel.Name)
			}
		}
		return true
	})
}
