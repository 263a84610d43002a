package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A panic in one call is the end of that call, not of the others: grpc-go would let it end the process.

func recoverUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (answer any, err error) {
	defer recovered(info.FullMethod, &err)
	return next(ctx, request)
}

func recoverStream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer recovered(info.FullMethod, &err)
	return next(service, stream)
}

func recovered(method string, err *error) {
	if cause := recover(); cause != nil {
		fmt.Fprintf(os.Stderr, "panic in %s: %v\n%s\n", method, cause, debug.Stack())
		*err = status.Errorf(codes.Internal, "a bug in the plugin: %s: %v", method, cause)
	}
}
