package dragonfly.hdfs;

import dragonfly.plugin.resource.v1.ResourceClientGrpc;
import dragonfly.plugin.resource.v1.ResourceOuterClass.DownloadRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.DownloadResponse;
import dragonfly.plugin.resource.v1.ResourceOuterClass.GetContentLengthRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.GetContentLengthResponse;
import dragonfly.plugin.resource.v1.ResourceOuterClass.GetLastModifiedRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.GetLastModifiedResponse;
import dragonfly.plugin.resource.v1.ResourceOuterClass.GetMetadataRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.GetMetadataResponse;
import dragonfly.plugin.resource.v1.ResourceOuterClass.InitRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.InitResponse;
import dragonfly.plugin.resource.v1.ResourceOuterClass.IsExpiredRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.IsExpiredResponse;
import dragonfly.plugin.resource.v1.ResourceOuterClass.IsSupportRangeRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.IsSupportRangeResponse;
import dragonfly.plugin.resource.v1.ResourceOuterClass.ListRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.ListResponse;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Resource;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.concurrent.Executor;

/** The service of PROTOCOL.md. A call keeps the configuration that it began with. */
final class ResourceService extends ResourceClientGrpc.ResourceClientImplBase {
    private final Executor executor;
    private volatile Storage storage;

    ResourceService(Executor executor) {
        this.executor = executor;
    }

    @Override
    public void init(InitRequest request, StreamObserver<InitResponse> answer) {
        Answer.give(answer, () -> {
            if (!request.getScheme().equals(Attributes.NAME)) {
                throw SourceException.invalid("this plugin serves hdfs and not `" + request.getScheme() + "`");
            }
            if (!request.getDescribe()) {
                storage = new Storage(Settings.parse(request.getOptionsMap(), System.getenv()));
            }
            return InitResponse.newBuilder().putAllAttributes(Attributes.all()).build();
        });
    }

    @Override
    public void getMetadata(GetMetadataRequest request, StreamObserver<GetMetadataResponse> answer) {
        Answer.give(answer, () -> {
            Storage asked = initialised();
            Location location = location(request.hasResource(), request.getResource());
            return GetMetadataResponse.newBuilder()
                    .setMetadata(asked.metadata(location, asked.file(location)))
                    .build();
        });
    }

    @Override
    public void getContentLength(GetContentLengthRequest request, StreamObserver<GetContentLengthResponse> answer) {
        Answer.give(answer, () -> GetContentLengthResponse.newBuilder()
                .setContentLength(version(request.hasResource(), request.getResource()).length())
                .build());
    }

    @Override
    public void isSupportRange(IsSupportRangeRequest request, StreamObserver<IsSupportRangeResponse> answer) {
        Answer.give(answer, () -> {
            version(request.hasResource(), request.getResource());
            return IsSupportRangeResponse.newBuilder().setSupportRange(true).build();
        });
    }

    @Override
    public void isExpired(IsExpiredRequest request, StreamObserver<IsExpiredResponse> answer) {
        Answer.give(answer, () -> {
            boolean same = version(request.hasResource(), request.getResource()).fits(request.getValidator());
            return IsExpiredResponse.newBuilder().setExpired(!same).build();
        });
    }

    @Override
    public void getLastModified(GetLastModifiedRequest request, StreamObserver<GetLastModifiedResponse> answer) {
        Answer.give(answer, () -> GetLastModifiedResponse.newBuilder()
                .setLastModified(version(request.hasResource(), request.getResource()).modified())
                .build());
    }

    @Override
    public void download(DownloadRequest request, StreamObserver<DownloadResponse> answer) {
        Outlet.open((ServerCallStreamObserver<DownloadResponse>) answer, executor, outlet -> {
            Storage asked = initialised();
            new Download(asked, location(request.hasResource(), request.getResource()), request).write(outlet);
        });
    }

    @Override
    public void list(ListRequest request, StreamObserver<ListResponse> answer) {
        Outlet.open((ServerCallStreamObserver<ListResponse>) answer, executor, outlet -> {
            Storage asked = initialised();
            new Listing(asked, location(request.hasResource(), request.getResource())).write(outlet);
        });
    }

    private Version version(boolean present, Resource resource) throws IOException, InterruptedException, SourceException {
        Storage asked = initialised();
        return Version.of(asked.file(location(present, resource)));
    }

    private Storage initialised() throws SourceException {
        Storage current = storage;
        if (current == null) {
            throw SourceException.invalid("Init has to succeed before other calls");
        }
        return current;
    }

    private static Location location(boolean present, Resource resource) throws SourceException {
        if (!present) {
            throw SourceException.invalid("the request has no `resource`");
        }
        return Location.parse(resource.getUrl());
    }
}
