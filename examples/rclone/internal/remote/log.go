package remote

import (
	"context"
	"log/slog"

	"github.com/hashicorp/go-hclog"
	"github.com/rclone/rclone/fs"
)

// logHandler writes rclone's log as the host reads it: hclog's JSON, a line an event.
type logHandler struct {
	log hclog.Logger
}

// Enabled lets nothing through below rclone's default: its debug messages may show parameters of remotes.
func (h logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= fs.SlogLevelNotice
}

func (h logHandler) Handle(_ context.Context, record slog.Record) error {
	var fields []any
	record.Attrs(func(attribute slog.Attr) bool {
		fields = append(fields, attribute.Key, attribute.Value.String())
		return true
	})
	h.log.Log(hclogLevel(record.Level), record.Message, fields...)
	return nil
}

func (h logHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h logHandler) WithGroup(string) slog.Handler { return h }

func hclogLevel(level slog.Level) hclog.Level {
	switch {
	case level >= slog.LevelError:
		return hclog.Error
	case level >= slog.LevelWarn:
		return hclog.Warn
	default:
		return hclog.Info
	}
}
