package main

import (
	"context"
	"os"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestAPanicIsAnErrorOfItsCallAlone(t *testing.T) {
	silence(t)
	_, err := recoverUnary(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: "/x/Unary"},
		func(context.Context, any) (any, error) { panic("oops") })
	if status.Code(err) != codes.Internal {
		t.Errorf("%v", err)
	}
	err = recoverStream(nil, nil, &grpc.StreamServerInfo{FullMethod: "/x/Stream"},
		func(any, grpc.ServerStream) error { panic("oops") })
	if status.Code(err) != codes.Internal {
		t.Errorf("%v", err)
	}
}

// silence keeps the stacks, which are meant for the host's log, out of that of the tests.
func silence(t *testing.T) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = null
	t.Cleanup(func() { os.Stderr = before; _ = null.Close() })
}
