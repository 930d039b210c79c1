package core

import "strings"

// maxHead bounds what is kept of an answer's head, in bytes; a real content type
// has up to 200.
const maxHead = 500

// Head is what has to stand before the body of an answer over HTTP for
// Offline.Read to see what Call saw: its status line and content type, and a blank
// line. It is "" where the body says it all: a plain 200, and other transports. Of
// other headers nothing is in it: a HIS puts tokens into them.
func (r Response) Head() string {
	kind, _ := r.Headers.Get("content-type").(string)
	parts := strings.HasPrefix(strings.ToLower(kind), "multipart/") // its boundary is nowhere else
	if r.Status == "" || r.Status == "200" && !parts {
		return ""
	}
	head := "HTTP/1.1 " + r.Status + "\n"
	if kind != "" && len(kind) <= maxHead {
		head += "Content-Type: " + kind + "\n"
	}
	return head + "\n"
}
