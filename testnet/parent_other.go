//go:build !linux

package testnet

import "syscall"

// dieWithParent asks for nothing where the kernel offers nothing.
func dieWithParent() *syscall.SysProcAttr { return nil }
