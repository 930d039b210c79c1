//go:build !linux

package month

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}
