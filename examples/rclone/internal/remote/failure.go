package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	webdav "github.com/rclone/rclone/backend/webdav/api"
	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/fserrors"
	"golang.org/x/crypto/ssh/knownhosts"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Failure is what rclone reported of a location, as a status for the host; nil where it reported nothing.
func Failure(location Location, err error) error {
	return statusOf(err, strconv.Quote(location.String()), codes.Internal)
}

// statusOf says what was asked and what the storage answered. What nothing is known of gets the code otherwise.
func statusOf(err error, asked string, otherwise codes.Code) error {
	if err == nil {
		return nil
	}
	// Already in the host's words.
	if _, isStatus := status.FromError(err); isStatus {
		return err
	}
	answer := status.New(codeOf(err, otherwise), asked+": "+err.Error())
	if again := fserrors.RetryAfterErrorTime(err); !again.IsZero() {
		delay := max(time.Until(again), 0)
		if detailed, err := answer.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)}); err == nil {
			return detailed.Err()
		}
	}
	return answer.Err()
}

// codeOf goes from the certain to the probable: what rclone says, what the protocol said, what the text tells.
func codeOf(err error, otherwise codes.Code) codes.Code {
	for _, code := range []func(error) codes.Code{codeOfContext, codeOfRclone, codeOfProtocol, codeOfTrust, codeOfNetwork, codeOfLogin} {
		if code := code(err); code != codes.OK {
			return code
		}
	}
	// Of a remote that cannot be opened these are about the files of its configuration, such as a key.
	if otherwise == codes.Internal && errors.Is(err, os.ErrNotExist) {
		return codes.NotFound
	}
	if errors.Is(err, os.ErrPermission) {
		return codes.PermissionDenied
	}
	return otherwise
}

func codeOfContext(err error) codes.Code {
	switch {
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	}
	return codes.OK
}

func codeOfRclone(err error) codes.Code {
	for _, known := range []struct {
		err  error
		code codes.Code
	}{
		{fs.ErrorObjectNotFound, codes.NotFound},
		{fs.ErrorDirNotFound, codes.NotFound},
		{syscall.ENOTDIR, codes.NotFound},
		{fs.ErrorIsDir, codes.InvalidArgument},
		{fs.ErrorIsFile, codes.InvalidArgument},
		{fs.ErrorNotAFile, codes.InvalidArgument},
		{fs.ErrorListBucketRequired, codes.InvalidArgument},
		{fs.ErrorFileNameTooLong, codes.InvalidArgument},
		{fs.ErrorPermissionDenied, codes.PermissionDenied},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	if fserrors.IsRetryAfterError(err) {
		return codes.Unavailable
	}
	return codes.OK
}

// codeOfProtocol reads the number that the storage answered with.
func codeOfProtocol(err error) codes.Code {
	var ftp *textproto.Error
	if errors.As(err, &ftp) {
		return codeOfFTP(ftp.Code)
	}
	return codeOfHTTP(httpStatus(err))
}

// rclone's type http tells its status in the text alone.
var httpStatusText = regexp.MustCompile(`HTTP Error: (\d{3})`)

func httpStatus(err error) int {
	var dav *webdav.Error
	if errors.As(err, &dav) {
		return dav.StatusCode
	}
	var aws interface{ HTTPStatusCode() int }
	if errors.As(err, &aws) {
		return aws.HTTPStatusCode()
	}
	if match := httpStatusText.FindStringSubmatch(err.Error()); match != nil {
		number, _ := strconv.Atoi(match[1])
		return number
	}
	return 0
}

func codeOfHTTP(number int) codes.Code {
	switch {
	case number == http.StatusUnauthorized, number == http.StatusProxyAuthRequired:
		return codes.Unauthenticated
	case number == http.StatusForbidden:
		return codes.PermissionDenied
	case number == http.StatusNotFound, number == http.StatusGone:
		return codes.NotFound
	case number == http.StatusRequestedRangeNotSatisfiable:
		return codes.OutOfRange
	case number == http.StatusRequestTimeout, number == http.StatusTooManyRequests, number >= 500:
		return codes.Unavailable
	}
	return codes.OK
}

func codeOfFTP(number int) codes.Code {
	switch {
	case number == 530, number == 331, number == 332, number == 532:
		return codes.Unauthenticated
	case number == 550:
		return codes.NotFound
	case number >= 400 && number < 500:
		return codes.Unavailable
	}
	return codes.OK
}

// codeOfTrust finds that one end does not accept who the other is.
func codeOfTrust(err error) codes.Code {
	var certificate *tls.CertificateVerificationError
	var hostKey *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	if errors.As(err, &certificate) || errors.As(err, &hostKey) || errors.As(err, &revoked) ||
		// golang.org/x/crypto/ssh has no type for it.
		strings.Contains(err.Error(), "ssh: unable to authenticate") {
		return codes.Unauthenticated
	}
	return codes.OK
}

func codeOfNetwork(err error) codes.Code {
	// Not net.Error: the errors of local files have its methods, too.
	var connection *net.OpError
	var name *net.DNSError
	if errors.As(err, &connection) || errors.As(err, &name) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, io.ErrUnexpectedEOF) || fserrors.IsRetryError(err) || fserrors.ShouldRetry(err) {
		return codes.Unavailable
	}
	return codes.OK
}

// codeOfLogin takes an FTP server that was reached and said no for one that refuses the user: the library loses the
// number where the name alone was enough.
func codeOfLogin(err error) codes.Code {
	if strings.Contains(err.Error(), "failed to make FTP connection") {
		return codes.Unauthenticated
	}
	return codes.OK
}
