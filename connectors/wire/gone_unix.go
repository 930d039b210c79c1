//go:build unix

package wire

import "syscall"

// Gone reports whether an idle connection is of no more use: closed by the
// other side, or holding bytes that nobody asked for (a farewell).
//
// It looks without waiting and without taking anything away. Control is used
// and not Read, which would wait for a reader that net/http keeps at the socket.
func (c *Conn) Gone() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EAGAIN || err == syscall.EWOULDBLOCK || err == syscall.EINTR:
		default:
			gone = n >= 0 || err != nil
		}
	})
	return gone || err != nil
}
