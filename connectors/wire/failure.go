package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"hishub/core"
)

// Error is a failure on the way, with the one thing that decides what follows.
// Its text holds no byte of the answer and no part of a URL.
type Error struct {
	// Left is true when bytes of the request were handed to the kernel.
	Left bool
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Fault classifies: Unavailable when nothing left, else InDoubt. What nobody
// marked gets the careful reading.
func Fault(op string, err error) *core.Fault {
	var e *Error
	if errors.As(err, &e) {
		// Only what is marked is shown: around it may be a url.Error with a URL.
		if e.Left {
			return &core.Fault{Class: core.InDoubt, Op: op, Err: e.Err}
		}
		return &core.Fault{Class: core.Unavailable, Op: op, Err: e.Err}
	}
	return &core.Fault{Class: core.InDoubt, Op: op, Err: Plain(err)}
}

// Invalid is the fault of a request that this transport cannot express.
func Invalid(op string, err error) *core.Fault {
	return &core.Fault{Class: core.Invalid, Op: op, Err: err}
}

// InDoubt is the fault of an answer that cannot be read.
func InDoubt(op string, err error) *core.Fault {
	return &core.Fault{Class: core.InDoubt, Op: op, Err: err}
}

// Plain says what went wrong on a connection in words that hold nothing of what
// was sent or received, which the errors of net/http and of drivers may.
func Plain(err error) error {
	var dns *net.DNSError
	var proxy errProxy
	var op *net.OpError
	switch {
	case errors.Is(err, ErrTooLarge), errors.Is(err, errClosed):
		return unwrapTo(err)
	case errors.As(err, &proxy):
		return proxy
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return context.DeadlineExceeded
	case errors.As(err, &dns):
		return fmt.Errorf("the name %s was not found", dns.Name)
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "remote error"):
		return op // an address, or the words of a TLS alert
	case tlsFailure(err):
		return errors.New("no trusted TLS connection: " + tlsReason(err))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, errGone), errors.Is(err, errBarred),
		strings.Contains(err.Error(), "server closed idle connection"), strings.Contains(err.Error(), "use of closed"):
		return errors.New("the connection was closed before a whole answer came")
	case strings.Contains(err.Error(), "TLS handshake timeout"):
		return context.DeadlineExceeded
	}
	return errors.New("what came cannot be read")
}

func unwrapTo(err error) error {
	if errors.Is(err, ErrTooLarge) {
		return ErrTooLarge
	}
	return errClosed
}

func tlsFailure(err error) bool {
	var verification *tls.CertificateVerificationError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	return errors.As(err, &verification) || errors.As(err, &alert) || errors.As(err, &record) ||
		strings.Contains(err.Error(), "HTTP response to HTTPS client") || strings.HasPrefix(err.Error(), "tls: ")
}

// RefusedHandshake tells an alert by which the other side ended the handshake.
// In TLS 1.3 ours is over before the HIS looks at our certificate, so the
// request may have left already; but one that refuses the certificate does not
// read on.
func RefusedHandshake(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return false
	}
	for _, alert := range []string{"certificate", "handshake failure", "access denied"} {
		if strings.Contains(op.Err.Error(), alert) {
			return true
		}
	}
	return false
}

func tlsReason(err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	switch {
	case errors.As(err, &authority):
		return "the certificate is signed by an unknown authority; name it as tls.ca"
	case errors.As(err, &host):
		return "the certificate is for another name; see tls.server_name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate ran out, or is not valid yet"
	case errors.As(err, &invalid):
		return "its certificate is not valid"
	case errors.As(err, &alert):
		return "the HIS refused it: " + alert.Error()
	}
	return "the other side does not speak TLS as expected"
}
