package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/hash"
)

// probeFrom is the size from which it is worth a request to learn whether a server serves ranges: what is smaller is
// fetched whole anyway.
const probeFrom = 1 << 20

// ErrRangeIgnored says that the storage would send the whole.
var ErrRangeIgnored = fs.ErrorRangeIgnored

// Open opens length bytes from start on; a negative length is up to the end. It never serves another range.
func (o *Object) Open(ctx context.Context, start, length int64) (io.ReadCloser, error) {
	if start == 0 && (length < 0 || length == o.Size()) {
		body, err := o.Object.Open(ctx)
		return body, Failure(o.Location, err)
	}
	end := int64(-1)
	if length >= 0 {
		end = start + length - 1
	}
	body, err := o.Object.Open(ctx, &fs.RangeOption{Start: start, End: end})
	if errors.Is(err, fs.ErrorRangeIgnored) {
		return nil, ErrRangeIgnored
	}
	return body, Failure(o.Location, err)
}

// Ranges tells whether Open can serve a part.
func (r *Remotes) Ranges(ctx context.Context, o *Object) bool {
	switch {
	case o.Size() < 0:
		return false
	case !mustProbe(o.Object):
		return true
	case o.Size() < probeFrom:
		return false
	}
	return r.probed(ctx, o)
}

// mustProbe tells whether rclone would take the beginning of a resource for the part that it asked for. All types of
// remotes check it or have storages that always know ranges; http does not look whether the server obeyed.
func mustProbe(object fs.Object) bool {
	return fmt.Sprintf("%T", fs.UnWrapObject(object).Fs()) == "*http.Fs"
}

// probed asks for the second byte: a server without ranges sends more than one.
func (r *Remotes) probed(ctx context.Context, o *Object) bool {
	key := o.Location.String()
	r.lock.Lock()
	known, found := r.ranges[key]
	r.lock.Unlock()
	if found {
		return known
	}
	body, err := o.Object.Open(ctx, &fs.RangeOption{Start: 1, End: 1})
	if err != nil {
		return false
	}
	defer func() { _ = body.Close() }()
	n, err := io.ReadFull(body, make([]byte, 2))
	answer := n == 1 && errors.Is(err, io.ErrUnexpectedEOF)
	r.lock.Lock()
	defer r.lock.Unlock()
	if len(r.ranges) == rangesKept {
		clear(r.ranges)
	}
	r.ranges[key] = answer
	return answer
}

// rangesKept bounds what is remembered of the probes of a long-lived process.
const rangesKept = 1024

// Digests are those that the storage keeps. None is computed: where a digest needs the whole to be read (a local file,
// sftp), and where that cannot be told (a remote around others), there is none.
func (o *Object) Digests(ctx context.Context) map[string]string {
	features := o.storage.Features()
	if features.SlowHash || features.UnWrap != nil || fs.Type(o.storage) == "union" {
		return nil
	}
	digests := map[string]string{}
	for _, kind := range []hash.Type{hash.MD5, hash.SHA1, hash.SHA256, hash.SHA512, hash.CRC32, hash.BLAKE3} {
		if !o.storage.Hashes().Contains(kind) {
			continue
		}
		if digest, err := o.Hash(ctx, kind); err == nil && digest != "" {
			digests[kind.String()] = strings.ToLower(digest)
		}
	}
	return digests
}

// ContentType is the media type that the storage keeps; empty if it keeps none.
func (o *Object) ContentType(ctx context.Context) string {
	if typed, ok := o.Object.(fs.MimeTyper); ok {
		return typed.MimeType(ctx)
	}
	return ""
}
