package source

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/config/obscure"
	"github.com/rclone/rclone/fs/object"
	"google.golang.org/grpc/codes"

	pb "dfget/proto/go/resourcev1"
)

var ctx = context.Background()

func TestCallsBeforeInitAreRefused(t *testing.T) {
	c := connect(t)
	_, err := c.GetMetadata(ctx, &pb.GetMetadataRequest{Resource: resource("a")})
	wantsCode(t, err, codes.InvalidArgument)
	wantsCode(t, c.download(&pb.DownloadRequest{Resource: resource("a")}).err, codes.InvalidArgument)
}

func TestADescriptionConfiguresNothing(t *testing.T) {
	c := connect(t)
	answer, err := c.Init(ctx, &pb.InitRequest{Scheme: "rclone", Describe: true})
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"type": "resource", "name": "rclone", "scheme": "rclone"} {
		if answer.GetAttributes()[key] != value {
			t.Errorf("%s is %q", key, answer.GetAttributes()[key])
		}
	}
	_, err = c.GetMetadata(ctx, &pb.GetMetadataRequest{Resource: resource("a")})
	wantsCode(t, err, codes.InvalidArgument)
}

func TestAnotherSchemeIsRefused(t *testing.T) {
	_, err := connect(t).Init(ctx, &pb.InitRequest{Scheme: "s3"})
	wantsCode(t, err, codes.InvalidArgument)
}

func TestAnInitThatFailsLeavesTheFormerConfiguration(t *testing.T) {
	c, dir := directory(t)
	write(t, "hello", dir, "a")
	_, err := c.Init(ctx, &pb.InitRequest{Scheme: "rclone", Options: map[string]string{"config": "/nowhere"}})
	wantsCode(t, err, codes.InvalidArgument)
	c.download(&pb.DownloadRequest{Resource: resource("a")}).wants(t, 0, []byte("hello"))
}

func TestAFurtherInitReplacesTheConfiguration(t *testing.T) {
	c, _ := directory(t)
	other := t.TempDir()
	write(t, "other", other, "a")
	options := map[string]string{"remote.type": "alias", "remote.remote": other}
	if _, err := c.Init(ctx, &pb.InitRequest{Scheme: "rclone", Options: options}); err != nil {
		t.Fatal(err)
	}
	c.download(&pb.DownloadRequest{Resource: resource("a")}).wants(t, 0, []byte("other"))
}

func TestARequestWithoutAResourceIsRefused(t *testing.T) {
	c, _ := directory(t)
	_, err := c.GetContentLength(ctx, &pb.GetContentLengthRequest{})
	wantsCode(t, err, codes.InvalidArgument)
}

func TestRangesAreCutAtTheEnd(t *testing.T) {
	c, dir := directory(t)
	content := make([]byte, 3*ChunkSize+17)
	_, _ = rand.Read(content)
	write(t, string(content), dir, "a")
	n := uint64(len(content))
	for _, test := range []struct {
		asked    *pb.Range
		from, to uint64
	}{
		{nil, 0, n},
		{part(0), 0, n},
		{part(0, 0), 0, 0},
		{part(0, 10), 0, 10},
		{part(0, n), 0, n},
		{part(5), 5, n},
		{part(5, 0), 5, 5},
		{part(ChunkSize, ChunkSize+1), ChunkSize, 2*ChunkSize + 1},
		{part(n-1, 1), n - 1, n},
		{part(n-1, math.MaxUint64), n - 1, n},
	} {
		t.Run(fmt.Sprint(test.asked), func(t *testing.T) {
			got := c.download(&pb.DownloadRequest{Resource: resource("a"), Range: test.asked})
			got.wants(t, test.from, content[test.from:test.to])
			if got.opened.GetMetadata().GetContentLength() != n {
				t.Errorf("content_length is %d", got.opened.GetMetadata().GetContentLength())
			}
		})
	}
}

func TestARangeBehindTheEndIsOutOfRange(t *testing.T) {
	c, dir := directory(t)
	write(t, "hello", dir, "a")
	write(t, "", dir, "empty")
	for path, start := range map[string]uint64{"a": 5, "empty": 1} {
		wantsCode(t, c.download(&pb.DownloadRequest{Resource: resource(path), Range: part(start)}).err, codes.OutOfRange)
	}
	wantsCode(t, c.download(&pb.DownloadRequest{Resource: resource("a"), Range: part(math.MaxUint64, 1)}).err, codes.OutOfRange)
	c.download(&pb.DownloadRequest{Resource: resource("empty"), Range: part(0, 7)}).wants(t, 0, nil)
}

func TestTheShortCallsAgreeWithTheMetadata(t *testing.T) {
	c, dir := directory(t)
	write(t, "hello", dir, "a")
	when := time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.UTC)
	if err := os.Chtimes(filepath.Join(dir, "a"), when, when); err != nil {
		t.Fatal(err)
	}
	answer, err := c.GetMetadata(ctx, &pb.GetMetadataRequest{Resource: resource("a")})
	if err != nil {
		t.Fatal(err)
	}
	facts := answer.GetMetadata()
	length, _ := c.GetContentLength(ctx, &pb.GetContentLengthRequest{Resource: resource("a")})
	ranges, _ := c.IsSupportRange(ctx, &pb.IsSupportRangeRequest{Resource: resource("a")})
	changed, _ := c.GetLastModified(ctx, &pb.GetLastModifiedRequest{Resource: resource("a")})
	if length.GetContentLength() != 5 || facts.GetContentLength() != 5 ||
		!ranges.GetSupportRange() || !facts.GetSupportRange() ||
		changed.GetLastModified() != when.UnixMilli() || facts.GetValidator().GetLastModified() != when.UnixMilli() {
		t.Errorf("%v %v %v %v", facts, length, ranges, changed)
	}
	if len(facts.GetDigests()) > 0 {
		t.Errorf("the file was read for %v", facts.GetDigests())
	}
}

func TestAnotherVersionIsNotServed(t *testing.T) {
	c, dir := directory(t)
	write(t, "hello", dir, "a")
	answer, err := c.GetMetadata(ctx, &pb.GetMetadataRequest{Resource: resource("a")})
	if err != nil {
		t.Fatal(err)
	}
	before := answer.GetMetadata().GetValidator()
	request := &pb.DownloadRequest{Resource: resource("a"), Validator: before}
	c.download(request).wants(t, 0, []byte("hello"))
	expired, _ := c.IsExpired(ctx, &pb.IsExpiredRequest{Resource: resource("a"), Validator: before})
	if expired.GetExpired() {
		t.Error("expired, and nothing has changed")
	}
	// As long, and a nanosecond younger.
	write(t, "world", dir, "a")
	info, _ := os.Stat(filepath.Join(dir, "a"))
	when := info.ModTime().Add(time.Nanosecond)
	if err := os.Chtimes(filepath.Join(dir, "a"), when, when); err != nil {
		t.Fatal(err)
	}
	wantsCode(t, c.download(request).err, codes.FailedPrecondition)
	expired, _ = c.IsExpired(ctx, &pb.IsExpiredRequest{Resource: resource("a"), Validator: before})
	if !expired.GetExpired() {
		t.Error("not expired")
	}
}

func TestOfNoValidatorNothingCanBeTold(t *testing.T) {
	c, dir := directory(t)
	write(t, "hello", dir, "a")
	expired, err := c.IsExpired(ctx, &pb.IsExpiredRequest{Resource: resource("a")})
	if err != nil || !expired.GetExpired() {
		t.Errorf("%v, %v", expired, err)
	}
	c.download(&pb.DownloadRequest{Resource: resource("a"), Validator: &pb.Validator{}}).wants(t, 0, []byte("hello"))
}

func TestAListingHasTheValidatorsOfTheMetadata(t *testing.T) {
	c, dir := directory(t)
	for i := range 2*batch + 1 {
		write(t, "x", dir, "many", fmt.Sprint(i))
	}
	if err := os.Symlink("1", filepath.Join(dir, "many", "link")); err != nil {
		t.Fatal(err)
	}
	entries := c.list("many")
	if len(entries) != 2*batch+1 {
		t.Fatalf("%d entries", len(entries))
	}
	answer, err := c.GetMetadata(ctx, &pb.GetMetadataRequest{Resource: resource("many/" + entries[7].GetName())})
	if err != nil {
		t.Fatal(err)
	}
	if listed, told := entries[7].GetMetadata(), answer.GetMetadata(); listed.GetValidator().String() != told.GetValidator().String() ||
		listed.GetContentLength() != told.GetContentLength() {
		t.Errorf("%v in the listing, %v else", listed, told)
	}
}

func (c client) list(path string) []*pb.Entry {
	c.t.Helper()
	stream, err := c.List(ctx, &pb.ListRequest{Resource: resource(path)})
	if err != nil {
		c.t.Fatal(err)
	}
	var entries []*pb.Entry
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			c.t.Fatal(err)
		}
		if len(message.GetEntries()) > batch {
			c.t.Errorf("%d entries in a message", len(message.GetEntries()))
		}
		entries = append(entries, message.GetEntries()...)
	}
}

func TestASymbolicLinkIsNotFollowedUnasked(t *testing.T) {
	c, dir := directory(t)
	write(t, "hello", dir, "a")
	if err := os.Symlink("a", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	wantsCode(t, c.download(&pb.DownloadRequest{Resource: resource("link")}).err, codes.InvalidArgument)
	c = configured(t, "type", "local", "copy_links", "true")
	c.download(&pb.DownloadRequest{Resource: resource(filepath.Join(dir, "link"))}).wants(t, 0, []byte("hello"))
}

func TestWhatCryptHasWrittenIsReadInParts(t *testing.T) {
	dir := t.TempDir()
	options := []string{"type", "crypt", "remote", dir, "password", obscure.MustObscure("moria")}
	content := make([]byte, 1<<20)
	_, _ = rand.Read(content)
	vault, err := fs.NewFs(ctx, fmt.Sprintf(":crypt,remote='%s',password='%s':", dir, options[5]))
	if err != nil {
		t.Fatal(err)
	}
	info := object.NewStaticObjectInfo("a", time.Now(), int64(len(content)), true, nil, vault)
	if _, err := vault.Put(ctx, bytes.NewReader(content), info); err != nil {
		t.Fatal(err)
	}
	c := configured(t, options...)
	c.download(&pb.DownloadRequest{Resource: resource("a")}).wants(t, 0, content)
	c.download(&pb.DownloadRequest{Resource: resource("a"), Range: part(70000, 500000)}).wants(t, 70000, content[70000:570000])
	// The ciphertext is damaged behind the first block, which has to be noticed.
	encrypted, _ := filepath.Glob(filepath.Join(dir, "*"))
	damaged, _ := os.ReadFile(encrypted[0])
	damaged[200000] ^= 1
	write(t, string(damaged), encrypted[0])
	if err := c.download(&pb.DownloadRequest{Resource: resource("a")}).err; err == nil {
		t.Error("damaged, and OK")
	}
}
