"""A status that says when to come back (google.rpc.RetryInfo). Imported only then."""
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status


def status(code, text, seconds):
    detail = Any()
    detail.Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=int(seconds))))
    return rpc_status.to_status(status_pb2.Status(code=code.value[0], message=text, details=[detail]))
