package remote

import (
	"context"
	"errors"
	"time"

	"github.com/rclone/rclone/fs"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Object is a resource that exists and is no directory.
type Object struct {
	fs.Object
	Location Location
	storage  fs.Fs
}

// Find asks the storage for the object at a location.
func (r *Remotes) Find(ctx context.Context, location Location) (*Object, error) {
	if location.Directory {
		return nil, directory(location)
	}
	storage, err := r.at(ctx, location)
	if err != nil {
		return nil, err
	}
	found, err := storage.NewObject(ctx, location.Path)
	if errors.Is(err, fs.ErrorObjectNotFound) && isDirectory(ctx, storage, location.Path) {
		err = fs.ErrorIsDir
	}
	if errors.Is(err, fs.ErrorIsDir) {
		return nil, directory(location)
	}
	if err != nil {
		return nil, Failure(location, err)
	}
	if !found.Storable() {
		return nil, status.Errorf(codes.InvalidArgument, "%q is a symbolic link or no regular file, which rclone does not read; "+
			"the option remote.copy_links=true lets it follow links", location)
	}
	return &Object{Object: found, Location: location, storage: storage}, nil
}

func directory(location Location) error {
	return status.Errorf(codes.InvalidArgument, "%q is a directory; -r downloads what is in it, and -l lists it", location)
}

// isDirectory is for storages whose answer to "is this an object" does not tell a directory from nothing: FTP servers
// and object stores. It costs a listing, but of something that is missing anyway.
func isDirectory(ctx context.Context, storage fs.Fs, path string) bool {
	var seen bool
	err := walk(ctx, storage, path, func(entries fs.DirEntries) error {
		seen = len(entries) > 0
		return fs.ErrorListAborted
	})
	if storage.Features().BucketBased {
		return seen
	}
	return err == nil || errors.Is(err, fs.ErrorListAborted)
}

// ModTime is when the object changed last; false where its storage does not know.
func (o *Object) ModTime(ctx context.Context) (time.Time, bool) {
	return modTime(ctx, o.storage, o.Object)
}

func modTime(ctx context.Context, storage fs.Fs, entry fs.Object) (time.Time, bool) {
	changed := entry.ModTime(ctx)
	switch {
	case changed.IsZero(), changed.Unix() == 0:
		return time.Time{}, false
	// rclone says "now" where it knows nothing, and that is another time each time.
	case !changed.Equal(entry.ModTime(ctx)):
		return time.Time{}, false
	// Object stores tell fractions of a second in listings alone.
	case storage.Features().BucketBased:
		return changed.Truncate(time.Second), true
	}
	return changed, true
}

// Unchanged tells whether the location still has the version that o was found as. It asks the storage once more, but
// for object stores: those serve an object as it was when it was opened.
func (r *Remotes) Unchanged(ctx context.Context, o *Object, same func(*Object) bool) (bool, error) {
	if o.storage.Features().BucketBased {
		return true, nil
	}
	again, err := o.storage.NewObject(ctx, o.Location.Path)
	if errors.Is(err, fs.ErrorObjectNotFound) {
		return false, nil
	}
	if err != nil {
		return false, Failure(o.Location, err)
	}
	return same(&Object{Object: again, Location: o.Location, storage: o.storage}), nil
}
