//go:build !unix

package wire

// Gone cannot tell here; a closed connection shows when it is used.
func (c *Conn) Gone() bool { return false }
