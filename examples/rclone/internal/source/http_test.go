package source

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "dfget/proto/go/resourcev1"
)

var thatDay = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

// site is a host whose remote x is a web server that answers as a test wants.
func site(t *testing.T, answer http.HandlerFunc) client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	// A connection that hangs is not waited for.
	t.Cleanup(server.CloseClientConnections)
	return configured(t, "type", "http", "url", server.URL)
}

func random(length int) []byte {
	content := make([]byte, length)
	_, _ = rand.Read(content)
	return content
}

func TestAServerWithRangesServesParts(t *testing.T) {
	content := random(2 << 20)
	c := site(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a", thatDay, bytes.NewReader(content))
	})
	got := c.download(&pb.DownloadRequest{Resource: resource("a"), Range: part(1<<20, 1000)})
	got.wants(t, 1<<20, content[1<<20:1<<20+1000])
}

func TestAServerWithoutRangesServesTheWhole(t *testing.T) {
	content := random(2 << 20)
	c := site(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Header().Set("Last-Modified", thatDay.Format(http.TimeFormat))
		_, _ = w.Write(content)
	})
	got := c.download(&pb.DownloadRequest{Resource: resource("a"), Range: part(1<<20, 1000)})
	got.wants(t, 0, content)
	if got.opened.GetMetadata().GetSupportRange() {
		t.Error("support_range is true")
	}
}

func TestAWebDAVServerWithoutRangesServesTheWhole(t *testing.T) {
	content := random(2 << 20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PROPFIND" {
			w.WriteHeader(http.StatusMultiStatus)
			_, _ = fmt.Fprintf(w, `<d:multistatus xmlns:d="DAV:"><d:response><d:href>%s</d:href><d:propstat><d:prop>`+
				`<d:getcontentlength>%d</d:getcontentlength><d:getlastmodified>%s</d:getlastmodified><d:resourcetype/>`+
				`</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>`,
				r.URL.Path, len(content), thatDay.Format(http.TimeFormat))
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content)
	}))
	t.Cleanup(server.Close)
	c := configured(t, "type", "webdav", "url", server.URL)
	c.download(&pb.DownloadRequest{Resource: resource("a"), Range: part(1<<20, 1000)}).wants(t, 0, content)
}

func TestAResourceOfUnknownLengthIsServedToItsEnd(t *testing.T) {
	content := random(2 << 20)
	c := site(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X") // Sent in chunks, and without a length.
		_, _ = w.Write(content)
	})
	got := c.download(&pb.DownloadRequest{Resource: resource("a")})
	got.wants(t, 0, content)
	facts := got.opened.GetMetadata()
	if facts.ContentLength != nil || facts.GetSupportRange() || facts.GetValidator() != nil {
		t.Errorf("%v", facts)
	}
	length, err := c.GetContentLength(ctx, &pb.GetContentLengthRequest{Resource: resource("a")})
	if err != nil || length.GetContentLength() != -2 {
		t.Errorf("%v, %v", length, err)
	}
	when, err := c.GetLastModified(ctx, &pb.GetLastModifiedRequest{Resource: resource("a")})
	if err != nil || when.GetLastModified() != -1 {
		t.Errorf("%v, %v", when, err)
	}
}

func TestAConnectionThatBreaksIsNoEnd(t *testing.T) {
	c := site(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		if r.Method == http.MethodGet {
			_, _ = w.Write(random(500))
		}
	})
	wantsCode(t, c.download(&pb.DownloadRequest{Resource: resource("a")}).err, codes.Unavailable)
}

func TestAResourceThatChangesWhileItIsReadIsNoEnd(t *testing.T) {
	var read atomic.Bool
	c := site(t, func(w http.ResponseWriter, r *http.Request) {
		when := thatDay
		if read.Load() {
			when = when.Add(time.Second)
		}
		if r.Method == http.MethodGet {
			read.Store(true)
		}
		http.ServeContent(w, r, "a", when, strings.NewReader("hello"))
	})
	wantsCode(t, c.download(&pb.DownloadRequest{Resource: resource("a")}).err, codes.FailedPrecondition)
}

func TestAResourceThatChangesBeforeItIsOpenedIsNotServed(t *testing.T) {
	c := site(t, func(w http.ResponseWriter, r *http.Request) {
		when := thatDay
		if r.Method == http.MethodGet {
			when = when.Add(time.Second)
		}
		http.ServeContent(w, r, "a", when, strings.NewReader("hello"))
	})
	got := c.download(&pb.DownloadRequest{Resource: resource("a")})
	wantsCode(t, got.err, codes.FailedPrecondition)
	if len(got.body) > 0 {
		t.Error("there was a chunk")
	}
}

func TestAnswersOfTheServerHaveTheirCodes(t *testing.T) {
	for answer, code := range map[int]codes.Code{
		401: codes.Unauthenticated, 403: codes.PermissionDenied, 404: codes.NotFound, 410: codes.NotFound,
		429: codes.Unavailable, 500: codes.Unavailable, 503: codes.Unavailable, 418: codes.Internal,
	} {
		t.Run(fmt.Sprint(answer), func(t *testing.T) {
			c := site(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(answer) })
			_, err := c.GetMetadata(ctx, &pb.GetMetadataRequest{Resource: resource("a")})
			wantsCode(t, err, code)
			if !strings.Contains(status.Convert(err).Message(), `"x:a"`) {
				t.Errorf("the message does not name the resource: %v", err)
			}
		})
	}
}

// stalling serves the beginning of a resource and then nothing, until the client is gone.
func stalling(begin []byte, gone chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		if r.Method != http.MethodGet {
			return
		}
		_, _ = w.Write(begin)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	}
}

func TestACancelledDownloadLetsGoOfTheServer(t *testing.T) {
	gone := make(chan struct{}, 1)
	c := site(t, stalling(random(ChunkSize), gone))
	cancelled, cancel := context.WithCancel(ctx)
	stream, err := c.Download(cancelled, &pb.DownloadRequest{Resource: resource("a")})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // Opened and a chunk; then it hangs.
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	select {
	case <-gone:
	case <-time.After(time.Second):
		t.Error("the server still has the connection")
	}
}

func TestBytesOfASlowServerAreNotHeldBack(t *testing.T) {
	gone := make(chan struct{}, 1)
	server := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		if r.Method != http.MethodGet {
			return
		}
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte("drop"))
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond) // The server is slow: that is what is tested.
		}
		gone <- struct{}{}
	}
	c := site(t, server)
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stream, err := c.Download(limited, &pb.DownloadRequest{Resource: resource("a")})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // Opened, and chunks that are far from full.
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-gone
}
