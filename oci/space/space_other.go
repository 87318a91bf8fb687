//go:build !(linux || darwin || windows)

package space

func freeAt(string) free { return free{bytes: -1, files: -1} }
