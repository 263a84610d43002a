package source

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// reader is a storage's reader that a test makes up.
type reader struct {
	io.Reader
	close func() error
}

func (r reader) Close() error {
	if r.close == nil {
		return nil
	}
	return r.close()
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(data []byte) (int, error) { return f(data) }

// drain takes all pieces.
func drain(b *body, length int64) (text string, err error) {
	for piece := range b.pieces(context.Background(), length) {
		text, err = text+string(piece.data), piece.err
	}
	return text, err
}

func TestAPanicOfAReaderIsAnError(t *testing.T) {
	_, err := drain(newBody(reader{Reader: readFunc(func([]byte) (int, error) { panic("oops") })}), -1)
	if err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("%v", err)
	}
}

func TestNoMoreIsReadThanWasAskedFor(t *testing.T) {
	text, err := drain(newBody(reader{Reader: strings.NewReader("hello world")}), 5)
	if text != "hello" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAWholeThatGoesOnBehindItsEndIsAnError(t *testing.T) {
	b := newBody(reader{Reader: strings.NewReader("hello world")})
	if _, err := drain(b, 5); err != nil {
		t.Fatal(err)
	}
	if err := b.close(context.Background(), true); !errors.Is(err, errLonger) {
		t.Errorf("%v", err)
	}
}

func TestAnErrorOfTheClosingIsAnError(t *testing.T) {
	failed := errors.New("transfer aborted")
	b := newBody(reader{Reader: strings.NewReader("hello"), close: func() error { return failed }})
	if _, err := drain(b, 5); err != nil {
		t.Fatal(err)
	}
	if err := b.close(context.Background(), true); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
}

func TestAReaderThatHangsDoesNotHoldACancelledCall(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	b := newBody(reader{Reader: readFunc(func([]byte) (int, error) { <-hang; return 0, io.EOF })})
	cancelled, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := next(cancelled, b.pieces(cancelled, -1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestAClosingThatHangsDoesNotHoldACancelledCall(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	b := newBody(reader{Reader: strings.NewReader(""), close: func() error { <-hang; return nil }})
	cancelled, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := b.close(cancelled, false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
