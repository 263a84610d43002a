package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"

	contract "dfget/proto/go/resourcev1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// serveTCP is a plugin on TCP, in TLS where the host asks for that.
func serveTCP(name string, impl contract.ResourceClientServer) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	var options []grpc.ServerOption
	address, field := listener.Addr().String(), ""
	if host := os.Getenv("PLUGIN_CLIENT_CERT"); host != "" {
		own, _ := certificate()
		options = append(options, grpc.Creds(credentials.NewTLS(asked(host, own))))
		if name == "tcp-another-certificate" {
			own, _ = certificate()
		}
		field = base64.RawStdEncoding.EncodeToString(own.Certificate[0])
	}
	switch name {
	case "tcp-not-loopback":
		// An address of a network for documentation: had dfget connected, it would have waited.
		address = "192.0.2.1:1"
	case "tcp-by-name":
		_, port, _ := net.SplitHostPort(address)
		address = "localhost:" + port
	}
	server := grpc.NewServer(options...)
	contract.RegisterResourceClientServer(server, impl)
	healthy := health.NewServer()
	healthy.SetServingStatus("plugin", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, healthy)
	server.RegisterService(&controller, server)
	stdout := os.Stdout
	os.Stdout = os.Stderr
	fmt.Fprintf(stdout, "1|1|tcp|%s|grpc|%s\n", address, field)
	check(server.Serve(listener))
}

// asked is what go-plugin makes of PLUGIN_CLIENT_CERT.
func asked(host string, own tls.Certificate) *tls.Config {
	hosts := x509.NewCertPool()
	if !hosts.AppendCertsFromPEM([]byte(host)) {
		panic("PLUGIN_CLIENT_CERT is no certificate")
	}
	return &tls.Config{
		Certificates: []tls.Certificate{own},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    hosts,
		MinVersion:   tls.VersionTLS12,
	}
}

func certificate() (tls.Certificate, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	check(err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "localhost"},
		DNSNames:              []string{"localhost"},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(err)
	own := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return own, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// controller is plugin.GRPCController, whose stubs go-plugin keeps to itself. Both its messages are empty.
var controller = grpc.ServiceDesc{
	ServiceName: "plugin.GRPCController",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Shutdown", Handler: func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
		go os.Exit(0)
		return nil, status.Error(codes.Unavailable, "it ends")
	}}},
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
