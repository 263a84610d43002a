//! Statuses as the query of a URL has them: `code=N`, and `text-bytes=N` for a long text.
//!
//! tonic knows the codes 0 to 16. The others travel through it in a header of our own, and are put into their place
//! on the way out.

use faultplug::query;
use http_body_util::BodyExt;
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{HeaderMap, Response, header::HeaderName},
    metadata::MetadataValue,
};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const OURS: &str = "faultplug-code";

pub(super) fn status(url: &str) -> Status {
    let code = query::number(url, "code").unwrap_or_default();
    let text = match query::number(url, "text-bytes") {
        Some(bytes) => "x".repeat(bytes as usize),
        None => format!("the storage said {code}"),
    };
    let mut status = Status::new(Code::from_i32(i32::try_from(code).unwrap_or_default()), text);
    status.metadata_mut().insert(OURS, MetadataValue::from(code));
    status
}

/// Puts our code where the library's is: in the header of an answer without a body, or in its trailers.
pub(super) fn rewrite(answer: Response<Body>) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    replace(&mut parts.headers);
    let body = body.map_frame(|mut frame| {
        if let Some(trailers) = frame.trailers_mut() {
            replace(trailers);
        }
        frame
    });
    Response::from_parts(parts, Body::new(body))
}

fn replace(header: &mut HeaderMap) {
    if let Some(code) = header.remove(OURS) {
        header.insert(STATUS, code);
    }
}
