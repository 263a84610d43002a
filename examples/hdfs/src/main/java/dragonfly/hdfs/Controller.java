package dragonfly.hdfs;

import io.grpc.stub.StreamObserver;
import plugin.GRPCControllerGrpc;
import plugin.GrpcController.Empty;

/** How a host asks the plugin to end. */
final class Controller extends GRPCControllerGrpc.GRPCControllerImplBase {
    private final End end;

    Controller(End end) {
        this.end = end;
    }

    @Override
    public void shutdown(Empty request, StreamObserver<Empty> answer) {
        answer.onNext(Empty.getDefaultInstance());
        answer.onCompleted();
        end.soon();
    }
}
