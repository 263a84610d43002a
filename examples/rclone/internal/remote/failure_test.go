package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"syscall"
	"testing"
	"time"

	webdav "github.com/rclone/rclone/backend/webdav/api"
	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/fserrors"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestErrorsHaveTheirCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		code codes.Code
	}{
		{fs.ErrorObjectNotFound, codes.NotFound},
		{fs.ErrorDirNotFound, codes.NotFound},
		{&os.PathError{Op: "open", Path: "a", Err: syscall.ENOENT}, codes.NotFound},
		{&os.PathError{Op: "open", Path: "a", Err: syscall.EACCES}, codes.PermissionDenied},
		{&os.PathError{Op: "readdirent", Path: "a", Err: syscall.ENOTDIR}, codes.NotFound},
		{&os.PathError{Op: "read", Path: "a", Err: syscall.EIO}, codes.Internal},
		{fs.ErrorIsDir, codes.InvalidArgument},
		{context.Canceled, codes.Canceled},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{&webdav.Error{StatusCode: 401}, codes.Unauthenticated},
		{&webdav.Error{StatusCode: 403}, codes.PermissionDenied},
		{&webdav.Error{StatusCode: 502}, codes.Unavailable},
		{&textproto.Error{Code: 530, Msg: "no"}, codes.Unauthenticated},
		{&textproto.Error{Code: 421, Msg: "too many"}, codes.Unavailable},
		{&textproto.Error{Code: 550, Msg: "no such file"}, codes.NotFound},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, codes.Unavailable},
		{&net.DNSError{Name: "box", IsNotFound: true}, codes.Unavailable},
		{&tls.CertificateVerificationError{Err: errors.New("unknown authority")}, codes.Unauthenticated},
		{errors.New("ssh: handshake failed: ssh: unable to authenticate, attempted methods [none]"), codes.Unauthenticated},
		{io.ErrUnexpectedEOF, codes.Unavailable},
		{errors.New("?"), codes.Internal},
	} {
		err := Failure(Location{Remote: "box", Path: "a"}, fmt.Errorf("wrapped: %w", test.err))
		if status.Code(err) != test.code {
			t.Errorf("%v, wanted %v", err, test.code)
		}
	}
}

func TestAFileOfTheConfigurationThatIsMissingIsNoMissingResource(t *testing.T) {
	err := connectFailure(Location{Remote: "box"}, &os.PathError{Op: "open", Path: "key", Err: syscall.ENOENT})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("%v", err)
	}
}

func TestTheTimeToComeBackIsHandedOn(t *testing.T) {
	err := Failure(Location{Remote: "box"}, fserrors.NewErrorRetryAfter(time.Minute))
	answer := status.Convert(err)
	if answer.Code() != codes.Unavailable || len(answer.Details()) != 1 {
		t.Fatalf("%v", answer)
	}
	info, _ := answer.Details()[0].(*errdetails.RetryInfo)
	if delay := info.GetRetryDelay().AsDuration(); delay < 50*time.Second || delay > time.Minute {
		t.Errorf("come back after %v", delay)
	}
}

func TestAStatusStaysAsItIs(t *testing.T) {
	before := status.Error(codes.DataLoss, "short")
	if after := Failure(Location{}, before); !errors.Is(after, before) {
		t.Errorf("%v", after)
	}
}
