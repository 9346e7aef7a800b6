package main

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/alecthomas/kong"
)

// decimal reads an id or a count of a command line: digits without a leading zero, which is how
// order numbers begin. Other notations of numbers would name another record.
func decimal(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("id", &text); err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return fmt.Errorf("%q is no whole number: write it in digits alone, such as 12", text)
	case strconv.FormatInt(n, 10) != text:
		return fmt.Errorf("%q begins with a zero, as no id does: `syncd lookup %s` shows the id of the order with this number", text, text)
	}
	target.SetInt(n)
	return nil
}
