package node

import (
	"context"
	"log/slog"

	"github.com/libp2p/go-libp2p/gologshim"
)

// LogNetwork sends what libp2p has to say to log instead of standard error: its
// errors as warnings, since no single peer is a failure of this node, and its
// warnings as debug messages; the rest is dropped. libp2p's log belongs to the
// whole process, so a program calls this once, before it runs a node.
func LogNetwork(log *slog.Logger) { gologshim.SetDefaultHandler(netLog{log.Handler()}) }

// netLog takes libp2p's levels for what they mean to an operator.
type netLog struct{ slog.Handler }

func (l netLog) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && l.Handler.Enabled(ctx, ours(level))
}

func (l netLog) Handle(ctx context.Context, r slog.Record) error {
	r.Level = ours(r.Level)
	return l.Handler.Handle(ctx, r)
}

func (l netLog) WithAttrs(attrs []slog.Attr) slog.Handler { return netLog{l.Handler.WithAttrs(attrs)} }

func (l netLog) WithGroup(name string) slog.Handler { return netLog{l.Handler.WithGroup(name)} }

func ours(level slog.Level) slog.Level {
	if level >= slog.LevelError {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}
