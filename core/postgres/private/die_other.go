//go:build !linux

package private

import "syscall"

func dieWith(*syscall.SysProcAttr) {}
