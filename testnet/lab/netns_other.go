//go:build !linux

package lab

import (
	"context"
	"errors"
	"os"
)

var errNotLinux = errors.New("network namespaces are of Linux")

func privileged() error                          { return errNotLinux }
func addNamespace(context.Context, string) error { return errNotLinux }
func within(string, func() error) error          { return errNotLinux }
func offloadOff(string) error                    { return errNotLinux }
func claim(string) (*os.File, error)             { return nil, errNotLinux }
func release(*os.File) error                     { return errNotLinux }
func remove(context.Context, string) error       { return errNotLinux }
func sweep(context.Context) error                { return errNotLinux }
func enableIP6() error                           { return errNotLinux }
