package gomod

import "testing"

// Whatever a project does in its go.mod file, what the go command needs of it is captured, and without a word.
func TestKindsOfProjects(t *testing.T) {
	const pseudo = "v0.0.0-20240102030405-abcdefabcdef"
	using := func(path string) string { return "package app\n\nimport _ \"example.com/" + path + "\"\n" }
	for _, test := range []struct {
		name  string
		goMod string // without module and go line
		files map[string]string
		want  string
	}{
		{
			"a directory replaces a module, and requires others",
			"require example.com/lib v0.0.0\n\nrequire (\n\texample.com/b v1.0.0 // indirect\n\texample.com/c v1.0.0 // indirect\n)\n\nreplace example.com/lib => ./lib\n",
			map[string]string{
				"app.go":          using("lib"),
				"lib/go.mod":      "module example.com/lib\n\ngo 1.22\n\nrequire (\n\texample.com/b v1.0.0\n\texample.com/c v1.0.0\n)\n",
				"lib/lib.go":      "package lib\n\nimport _ \"example.com/b\"\n",
				"lib/lib_test.go": "package lib\n\nimport _ \"example.com/c\"\n",
			},
			"b@v1.0.0 c@v1.0.0",
		},
		{
			"a version is excluded", "require example.com/b v1.1.0\n\nexclude example.com/b v1.0.0\n",
			map[string]string{"app.go": using("b")}, "b@v1.1.0",
		},
		{
			"a version is retracted", "require example.com/r v1.0.0\n",
			map[string]string{"app.go": using("r")}, "r@v1.0.0",
		},
		{
			"+incompatible", "require example.com/old2 v2.0.0+incompatible\n",
			map[string]string{"app.go": using("old2")}, "old2@v2.0.0+incompatible",
		},
		{
			"a pseudo-version", "require example.com/p " + pseudo + "\n",
			map[string]string{"app.go": using("p")}, "p@" + pseudo,
		},
		{
			"tool lines", "tool example.com/Tool\n\nrequire (\n\texample.com/Tool v1.2.0 // indirect\n\texample.com/b v1.0.0 // indirect\n)\n",
			map[string]string{"app.go": "package app\n"}, "Tool@v1.2.0 b@v1.0.0",
		},
		{
			"vendored", "require example.com/b v1.0.0\n",
			map[string]string{
				"app.go": using("b"), "vendor/example.com/b/b.go": "package b\n",
				"vendor/modules.txt": "# example.com/b v1.0.0\n## explicit; go 1.22\nexample.com/b\n",
			},
			"b@v1.0.0",
		},
		{
			"vendored, and not what go.mod says", "require example.com/b v1.1.0\n",
			map[string]string{
				"app.go": using("b"), "vendor/example.com/b/b.go": "package b\n",
				"vendor/modules.txt": "# example.com/b v1.0.0\n## explicit; go 1.22\nexample.com/b\n",
			},
			"b@v1.1.0",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, test.files)
			b.write("project/go.mod", "module example.com/app\n\ngo 1.24\n\n"+test.goMod)
			b.publish("example.com/r@v1.0.0", map[string]string{"go.mod": "module example.com/r\n", "r.go": "package r\n"})
			b.publish("example.com/r@v1.0.1", map[string]string{"go.mod": "module example.com/r\n\nretract [v1.0.0, v1.0.1]\n", "r.go": "package r\n"})
			b.publish("example.com/old2@v2.0.0+incompatible", map[string]string{"o.go": "package old2\n"})
			b.publish("example.com/p@"+pseudo, map[string]string{"go.mod": "module example.com/p\n", "p.go": "package p\n"})
			before := snapshot(t, b.root, "project")
			for _, scope := range []Scope{Build, Dev} {
				c := b.mustCapture(Options{Dirs: []string{b.dir("")}, Scope: scope})
				if got := names(c.Modules); got != test.want {
					t.Errorf("scope %s: Modules = %s, want %s", scope, got, test.want)
				}
				if len(b.warnings) > 0 {
					t.Errorf("scope %s: warnings %q", scope, b.warnings)
				}
			}
			if after := snapshot(t, b.root, "project"); after != before {
				t.Errorf("the project is\n%s\nwas\n%s", after, before)
			}
		})
	}
}
