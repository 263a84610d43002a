package source

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"google.golang.org/grpc/codes"

	pb "dfget/proto/go/resourcev1"
)

// bucket is a host whose remote x is an object store with some objects in the bucket b.
func bucket(t *testing.T, objects map[string][]byte) client {
	t.Helper()
	objectStore := s3mem.New()
	if err := objectStore.CreateBucket("b"); err != nil {
		t.Fatal(err)
	}
	// The time that an uploader wrote down is not that of the version.
	meta := map[string]string{"X-Amz-Meta-Mtime": "1000000000.5"}
	for key, content := range objects {
		if _, err := objectStore.PutObject("b", key, meta, bytes.NewReader(content), int64(len(content)), nil); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(gofakes3.New(objectStore).Server())
	t.Cleanup(server.Close)
	return store(t, server.URL)
}

func store(t *testing.T, endpoint string) client {
	t.Helper()
	return configured(t, "type", "s3", "provider", "Other", "endpoint", endpoint,
		"access_key_id", "ada", "secret_access_key", "lovelace")
}

func TestAnObjectStoreAnnouncesItsDigest(t *testing.T) {
	content := random(1 << 20)
	c := bucket(t, map[string][]byte{"a/b": content})
	got := c.download(&pb.DownloadRequest{Resource: resource("b/a/b")})
	got.wants(t, 0, content)
	digests := got.opened.GetMetadata().GetDigests()
	if len(digests) != 1 || digests[0].GetAlgorithm() != "md5" || digests[0].GetHex() != fmt.Sprintf("%x", md5.Sum(content)) {
		t.Errorf("%v", digests)
	}
	c.download(&pb.DownloadRequest{Resource: resource("b/a/b"), Range: part(1000, 500)}).wants(t, 1000, content[1000:1500])
}

func TestAnObjectStoreIsListedAsATree(t *testing.T) {
	c := bucket(t, map[string][]byte{"a": nil, "a/b": random(10), "c/d/e": nil})
	var names []string
	for _, entry := range c.list("b") {
		names = append(names, fmt.Sprint(entry.GetName(), entry.GetDirectory()))
	}
	// The name a is that of an object and of a directory; a host can have but one.
	if len(names) != 2 {
		t.Errorf("%v", names)
	}
	listed := c.list("b/a")[0].GetMetadata()
	answer, err := c.GetMetadata(ctx, &pb.GetMetadataRequest{Resource: resource("b/a/b")})
	if err != nil {
		t.Fatal(err)
	}
	if told := answer.GetMetadata(); listed.GetValidator().GetEtag() == "" ||
		listed.GetValidator().GetEtag() != told.GetValidator().GetEtag() {
		t.Errorf("%v in the listing, %v else", listed, told)
	}
	if when := time.UnixMilli(listed.GetValidator().GetLastModified()); time.Since(when) > time.Hour {
		t.Errorf("the time of the upload is %v", when)
	}
}

func TestOfAnObjectStoreAPrefixIsADirectory(t *testing.T) {
	c := bucket(t, map[string][]byte{"a/b": nil})
	wantsCode(t, c.download(&pb.DownloadRequest{Resource: resource("b/a")}).err, codes.InvalidArgument)
	wantsCode(t, c.download(&pb.DownloadRequest{Resource: resource("b/c")}).err, codes.NotFound)
	for path, code := range map[string]codes.Code{"b/c": codes.NotFound, "b/a/b": codes.InvalidArgument, "n": codes.NotFound} {
		stream, err := c.List(ctx, &pb.ListRequest{Resource: resource(path)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		wantsCode(t, err, code)
	}
}

func TestAnObjectStoreRefusesStrangers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	c := store(t, server.URL)
	wantsCode(t, c.download(&pb.DownloadRequest{Resource: resource("b/a")}).err, codes.PermissionDenied)
}
