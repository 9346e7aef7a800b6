package main

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/alecthomas/kong"
)

// decimal reads an id of a command line: digits without a leading zero, which is how
// order numbers begin. Other notations of numbers would name another record.
func decimal(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("id", &text); err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return fmt.Errorf("%q is no id: write it in digits, such as 12", text)
	case strconv.FormatInt(n, 10) != text:
		return fmt.Errorf("%q is no id: ids have no leading zero, as order numbers have; `syncd lookup %s` shows the id of an order", text, text)
	}
	target.SetInt(n)
	return nil
}
