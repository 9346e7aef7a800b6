// Package deps holds the import directions of the repository as tests. It has no
// code of its own.
//
// Imports run downwards only, and each rule of the table in the test says why. The
// rules see indirect imports too; depguard in .golangci.yml says the same about direct
// ones, earlier, in the editor.
package deps
