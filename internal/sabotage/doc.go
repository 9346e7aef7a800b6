// Package sabotage proves that the witness sees: its test plants one known defect
// after another into syncd and demands that the demo or the tests notice each
// (`make sabotage`). Nothing in the tree is changed: a defect is an overlay that
// the go command compiles instead of the file.
package sabotage
