package month

import "syscall"

// dieWithParent: a test that is itself killed leaves no hub behind.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
