// Package proto holds Go's side of dfget's contract, generated from the .proto files beside it.
// `go generate` in this folder writes it again; it needs no protoc.
package proto

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate .. --template buf.gen.yaml --path ../dragonfly
