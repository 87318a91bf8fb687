// Package greet is reached by a replace directive only; it is no member of the workspace.
package greet

// To greets name.
func To(name string) string { return "hello, " + name }
