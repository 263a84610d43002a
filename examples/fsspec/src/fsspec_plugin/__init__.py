"""A source plugin of dfget that reads through fsspec.

The way of a call: service (gRPC) -> source (what Init configured) -> pool (connections) -> schemes (one module a
storage, on top of fsspec) -> body (ranges, versions, the end) -> service.
"""
