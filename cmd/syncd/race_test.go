//go:build race

package main

// instrumented is how many times the memory of an ordinary process this one may take:
// the race detector keeps a shadow of all it holds.
const instrumented = 4
