package core

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// Cause is why an exchange failed, in words for people, in both languages. They hold no
// address, nothing secret and nothing of a patient. Chinese is "" where it has no words.
type Cause struct{ English, Chinese string }

// maxCause bounds a cause in characters: it is shown in lists.
const maxCause = 200

// Cause of a failure that left nothing better than unavailable or in_doubt: why the
// HIS did not answer, or not in a way that can be read. The zero one where nobody knows more.
func (x *Exchange) Cause() Cause {
	err := x.Verdict.Err
	if o := x.Verdict.Outcome; err == nil || o != OutcomeUnavailable && o != OutcomeInDoubt {
		return Cause{}
	}
	fault := innermost(err)
	if fault == nil && x.Called.IsZero() {
		return Cause{} // ours, not the HIS's: the ledger or the sessions could not be reached
	}
	c := causeOf(err, fault, x.Answered.Sub(x.Called))
	if strings.HasPrefix(err.Error(), loggingIn) {
		c.English = loggingIn + c.English
		if c.Chinese != "" {
			c.Chinese = "登录时：" + c.Chinese
		}
	}
	return c
}

// innermost is the fault that the connector or the mapper made.
func innermost(err error) (inner *Fault) {
	for f := (*Fault)(nil); errors.As(err, &f); err = f.Err {
		inner = f
	}
	return inner
}

func causeOf(err error, fault *Fault, took time.Duration) Cause {
	if fault != nil {
		err = fault.Err
	}
	var op *net.OpError
	switch {
	case err == nil:
		return Cause{}
	case errors.Is(err, context.DeadlineExceeded) || timedOut(err):
		return lateCause(fault, took)
	case errors.Is(err, context.Canceled):
		return Cause{"this process ended before an answer came", "本进程在收到应答前退出"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return Cause{"the HIS refused the connection", "HIS 拒绝连接"}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return Cause{"no way leads to the HIS's network", "无法到达 HIS 网络"}
	case errors.Is(err, syscall.ECONNRESET):
		return Cause{"the HIS broke the connection off", "HIS 中断了连接"}
	case errors.As(err, &op): // around its cause stands the address
		return Cause{English: shortened(op.Err.Error())}
	}
	return Cause{English: shortened(err.Error())}
}

func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// lateCause says for how long it was waited, unless that is not known: of a login, or
// of an answer that was rather read than waited for.
func lateCause(fault *Fault, took time.Duration) Cause {
	what := Cause{"no answer", "无应答"}
	if fault != nil && fault.Class == Unavailable {
		what = Cause{"no connection", "未能建立连接"}
	}
	if took = took.Round(time.Second); took <= 0 {
		return Cause{what.English + " in time", "超时" + what.Chinese}
	}
	return Cause{fmt.Sprintf("%s within %d s", what.English, int(took.Seconds())), fmt.Sprintf("%d 秒内%s", int(took.Seconds()), what.Chinese)}
}

func shortened(text string) string {
	if utf8.RuneCountInString(text) <= maxCause {
		return text
	}
	return string([]rune(text)[:maxCause]) + "…"
}
