//go:build !race

package main

// instrumented is how many times the memory of an ordinary process this one may take.
const instrumented = 1
