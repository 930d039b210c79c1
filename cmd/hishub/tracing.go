package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
)

// tracing sends spans of what happens to a message to a collector by OTLP over
// HTTP. They have what logs have: hospital, kind, the message's number, outcomes;
// no business number, no name, no word of a HIS. A nil one does nothing.
type tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// newTracing is nil unless OTEL_EXPORTER_OTLP_ENDPOINT, or the one for traces
// alone, is set. The other variables of OpenTelemetry (headers, sampler, …) count.
func newTracing(ctx context.Context, log *slog.Logger) (*tracing, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("send traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "hishub"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		log.Warn("traces: OTEL_RESOURCE_ATTRIBUTES", "error", err)
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return &tracing{p, p.Tracer("hishub")}, nil
}

// close sends what is left.
func (t *tracing) close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = t.provider.Shutdown(ctx)
}

var traceContext propagation.TraceContext

// under is ctx in the trace of a traceparent.
func under(ctx context.Context, parent string) context.Context {
	return traceContext.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
}

func parentOf(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	traceContext.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// acceptor is the ledger, whose acceptances are traced: their span is the parent
// of all that follows, and is kept with the message.
type acceptor struct {
	*postgres.Store
	tracing *tracing
}

// accepting is the ledger as those see it who submit.
func (h *hub) accepting() acceptor { return acceptor{h.store, h.tracing} }

// EnqueueAs accepts a message from elsewhere.
func (a acceptor) EnqueueAs(ctx context.Context, hospital string, m core.Message, o postgres.EnqueueOptions) (core.Accepted, error) {
	if a.tracing == nil {
		return a.Store.EnqueueAs(ctx, hospital, m, o)
	}
	within, span := a.tracing.tracer.Start(under(ctx, o.Trace), "accept", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("hishub.hospital", hospital), attribute.String("hishub.kind", string(m.Kind))))
	defer span.End()
	o.Trace = parentOf(within)
	got, err := a.Store.EnqueueAs(ctx, hospital, m, o)
	if err != nil {
		span.SetStatus(codes.Error, "not accepted") // the error may quote what was submitted
	} else {
		span.SetAttributes(attribute.Int64("hishub.message", got.ID), attribute.Bool("hishub.duplicate", got.Duplicate))
	}
	return got, err
}

// rounds is the dispatcher's hook.
func (t *tracing) rounds() func(delivery.Round) {
	if t == nil {
		return nil
	}
	return t.round
}

// round makes the spans of an exchange once it is settled, with the times that it had.
func (t *tracing) round(r delivery.Round) {
	d := &r.Before
	about := trace.WithAttributes(attribute.String("hishub.hospital", d.Hospital), attribute.String("hishub.kind", string(d.Kind)), attribute.Int64("hishub.message", d.ID))
	ctx := under(context.Background(), d.Trace)
	span := func(ctx context.Context, name string, from, to time.Time, options ...trace.SpanStartOption) context.Context {
		if from.IsZero() || to.Before(from) {
			return ctx
		}
		in, s := t.tracer.Start(ctx, name, append(options, trace.WithTimestamp(from))...)
		s.End(trace.WithTimestamp(to))
		return in
	}
	from := r.Begun
	if !r.Asked.IsZero() {
		from = r.Asked
		span(ctx, "wait", r.Asked.Add(-max(r.Waited, 0)), r.Asked, about)
	}
	in, whole := t.tracer.Start(ctx, "deliver", about, trace.WithTimestamp(from))
	span(in, "claim", r.Asked, r.Claimed)
	if a := r.Attempt; a != nil {
		x := &a.Exchange
		whole.SetAttributes(attribute.String("hishub.phase", string(a.Phase)), attribute.String("hishub.step", a.Step),
			attribute.Int("hishub.attempt", a.Number), attribute.String("hishub.outcome", string(x.Verdict.Outcome)))
		span(in, "encode", x.Encoding, x.Encoded)
		span(in, "mark", x.Encoded, x.Called)
		span(in, "call", x.Called, x.Answered, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("hishub.connector", x.Connector)))
		if !x.Answered.IsZero() {
			span(in, "decode", x.Answered, x.Ended)
		}
	}
	span(in, "settle", r.Settling, r.Settled)
	whole.SetAttributes(attribute.String("hishub.state", string(r.Next.State)))
	if r.Next.Class != "" {
		whole.SetAttributes(attribute.String("hishub.class", string(r.Next.Class)))
		whole.SetStatus(codes.Error, string(r.Next.Class))
	}
	whole.End(trace.WithTimestamp(r.Settled))
}

// inbound traces what a HIS calls.
func (t *tracing) inbound(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hospital, listener, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/his/"), "/")
		ctx, span := t.tracer.Start(under(r.Context(), r.Header.Get("traceparent")), "inbound", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r.WithContext(ctx))
		span.SetAttributes(attribute.Int("http.response.status_code", seen.status))
		if seen.status != http.StatusNotFound { // who calls at random must not name our spans
			span.SetAttributes(attribute.String("hishub.hospital", hospital), attribute.String("hishub.listener", listener))
		}
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
