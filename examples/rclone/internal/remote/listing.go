package remote

import (
	"context"
	"path"
	"time"

	"github.com/rclone/rclone/fs"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Entry is what a listing tells of something beneath a directory.
type Entry struct {
	Name      string
	Directory bool
	// Size is negative where it is unknown.
	Size int64
	// Changed is zero where it is unknown, or would cost a question an entry.
	Changed time.Time
	// Ranges says that the object can be read in parts.
	Ranges bool
}

// List hands the entries directly beneath a location to yield, as the storage pages them.
func (r *Remotes) List(ctx context.Context, location Location, yield func([]Entry) error) error {
	storage, err := r.at(ctx, location)
	if err != nil {
		return err
	}
	listing := listing{storage: storage, location: location, seen: map[string]bool{}}
	err = walk(ctx, storage, location.Path, func(found fs.DirEntries) error {
		if listing.isOfFile(ctx, found) {
			return noDirectory(location)
		}
		return yield(listing.entries(ctx, found))
	})
	if err == nil && !listing.any && storage.Features().BucketBased && location.Path != "" {
		// An object store has no empty directories: there is nothing of that name, or an object.
		err = fs.ErrorDirNotFound
	}
	failure := Failure(location, err)
	// Storages have many words for "that is a file", some of them unknown here.
	if code := status.Code(failure); (code == codes.NotFound || code == codes.Internal) && listing.isFile(ctx) {
		return noDirectory(location)
	}
	return failure
}

func noDirectory(location Location) error {
	return status.Errorf(codes.InvalidArgument, "%q is a file, no directory", location)
}

// walk lists one level, page by page where the storage has pages.
func walk(ctx context.Context, storage fs.Fs, path string, yield fs.ListRCallback) error {
	if page := storage.Features().ListP; page != nil {
		return page(ctx, path, yield)
	}
	entries, err := storage.List(ctx, path)
	if err != nil {
		return err
	}
	return yield(entries)
}

type listing struct {
	storage  fs.Fs
	location Location
	any      bool
	// seen has names only of storages where one may come twice: an object and a "directory" may share it.
	seen map[string]bool
}

// isOfFile tells that an FTP server was asked to list a file, and did: the file is the only entry.
func (l *listing) isOfFile(ctx context.Context, found fs.DirEntries) bool {
	if l.any || len(found) != 1 || path.Base(found[0].Remote()) != path.Base(l.location.Path) {
		return false
	}
	_, isObject := found[0].(fs.Object)
	return isObject && l.isFile(ctx)
}

func (l *listing) isFile(ctx context.Context) bool {
	_, err := l.storage.NewObject(ctx, l.location.Path)
	return err == nil
}

func (l *listing) entries(ctx context.Context, found fs.DirEntries) []Entry {
	entries := make([]Entry, 0, len(found))
	for _, entry := range found {
		l.any = true
		name := path.Base(entry.Remote())
		if l.repeated(name) {
			fs.Logf(l.storage, "left out of the listing: a second entry of the name %q", name)
			continue
		}
		switch entry := entry.(type) {
		case fs.Directory:
			entries = append(entries, Entry{Name: name, Directory: true, Size: -1})
		case fs.Object:
			// Symbolic links that are not followed, FIFOs and the like: rclone logs them.
			if entry.Storable() {
				entries = append(entries, l.object(ctx, name, entry))
			}
		}
	}
	return entries
}

func (l *listing) repeated(name string) bool {
	features := l.storage.Features()
	if !features.BucketBased && !features.DuplicateFiles {
		return false
	}
	before := l.seen[name]
	l.seen[name] = true
	return before
}

func (l *listing) object(ctx context.Context, name string, object fs.Object) Entry {
	entry := Entry{Name: name, Size: object.Size(), Ranges: !mustProbe(object)}
	features := l.storage.Features()
	// Object stores are slow to tell the uploader's time, but this plugin asks for the store's (Prepare).
	if !features.SlowModTime || features.BucketBased {
		entry.Changed, _ = modTime(ctx, l.storage, object)
	}
	return entry
}
