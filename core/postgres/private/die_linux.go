package private

import "syscall"

// dieWith makes the server shut down at once, without a checkpoint, when its
// parent ends. SIGQUIT, not SIGKILL, so that it takes its children along.
func dieWith(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
