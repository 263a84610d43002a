//! Parts of a resource, compared with the whole.

use std::ops::Range;

use plugin_proto::resource::{self as proto, DownloadRequest};
use tonic::Code;

use super::{
    metadata::{Told, unexpected},
    report::Findings,
    session::{Session, resource},
    stream::{Body, Fault, Kept, read},
};

/// Behind every end.
const FAR: u64 = 1 << 40;

/// A part that is asked for, and what it is in the whole.
struct Probe {
    start: u64,
    length: Option<u64>,
    expected: Range<u64>,
}

impl Probe {
    fn request(&self, url: &str) -> DownloadRequest {
        request(url, self.start, self.length)
    }
}

fn request(url: &str, start: u64, length: Option<u64>) -> DownloadRequest {
    DownloadRequest { resource: resource(url), range: Some(proto::Range { start, length }), validator: None }
}

/// Needs a body of which some places were kept.
pub(super) async fn judge(session: &Session, url: &str, told: &Told, body: &Body, findings: &mut Findings) {
    if body.total < 2 {
        for id in ["range.support", "range.answer", "range.bytes", "range.past-end", "range.beyond"] {
            findings.skip(id, "the resource has no parts: name a longer one");
        }
        return;
    }
    if !judge_support(session, url, told, findings).await {
        for id in ["range.bytes", "range.past-end"] {
            findings.skip(id, "the resource is not served in ranges");
        }
        return judge_beyond(session, url, told, body, findings).await;
    }
    for probe in probes(body) {
        if !judge_probe(session, url, &probe, body, findings).await {
            break;
        }
    }
    judge_past_end(session, url, body, findings).await;
    judge_beyond(session, url, told, body, findings).await;
}

/// Returns whether ranges are honoured, whatever the metadata says.
async fn judge_support(session: &Session, url: &str, told: &Told, findings: &mut Findings) -> bool {
    let served = match read(session, request(url, 1, Some(1)), &[], &[]).await {
        Ok(part) => part.opened.range.unwrap_or_default().start == 1,
        Err(fault) => return judge_fault(&fault, "from 1, one byte", findings),
    };
    findings.pass("range.answer");
    let said = told.metadata.support_range;
    let held = match (said, served) {
        (true, false) => Err("it is true, and all is served from 0".to_owned()),
        (false, true) => Err("it is false, and ranges are served".to_owned()),
        _ => Ok(()),
    };
    findings.judge("range.support", held);
    served
}

/// Of a part, what is wrong with `Opened` is another rule than of the whole.
fn judge_fault(fault: &Fault, what: &str, findings: &mut Findings) -> bool {
    let id = match fault.rule() {
        "download.opened" | "download.answer" => "range.answer",
        other => other,
    };
    findings.fail(id, format!("{what}: {fault}"))
}

fn probes(body: &Body) -> Vec<Probe> {
    let mut probes: Vec<Probe> = body.kept.iter().map(Kept::place).flat_map(|place| within(&place)).collect();
    if let Some(last) = body.kept.iter().map(Kept::place).find(|place| place.end == body.total) {
        let start = (last.start + 1).min(body.total - 1);
        probes.push(Probe { start, length: None, expected: start..body.total });
    }
    probes
}

/// All of it, one byte in it, and its last one.
fn within(place: &Range<u64>) -> Vec<Probe> {
    let middle = place.start + (place.end - place.start) / 2;
    let parts = [place.clone(), middle..middle + 1, place.end - 1..place.end];
    let probe = |part: Range<u64>| Probe { start: part.start, length: Some(part.end - part.start), expected: part };
    parts.into_iter().filter(|part| part.start < part.end && part.end <= place.end).map(probe).collect()
}

async fn judge_probe(session: &Session, url: &str, probe: &Probe, body: &Body, findings: &mut Findings) -> bool {
    let what = format!("from {}, {:?} bytes", probe.start, probe.length);
    let part = match read(session, probe.request(url), std::slice::from_ref(&probe.expected), &[]).await {
        Ok(part) => part,
        Err(fault) => return judge_fault(&fault, &what, findings),
    };
    let opened = part.opened.range.unwrap_or_default();
    let length = probe.expected.end - probe.expected.start;
    if opened.start != probe.start || part.total != length {
        let found = format!("{what}: {} bytes from {} are served", part.total, opened.start);
        return findings.fail("range.answer", found);
    }
    let of_whole = body.kept.iter().find_map(|kept| kept.slice(&probe.expected));
    let of_part = part.kept.iter().find_map(|kept| kept.slice(&probe.expected));
    let same = of_whole.is_none() || of_whole == of_part;
    findings.judge("range.bytes", if same { Ok(()) } else { Err(format!("{what}: other bytes than in the whole")) })
}

async fn judge_past_end(session: &Session, url: &str, body: &Body, findings: &mut Findings) {
    let held = match read(session, request(url, body.total - 1, Some(FAR)), &[], &[]).await {
        Ok(part) if part.total == 1 => Ok(()),
        Ok(part) => Err(format!("{} bytes are served, where one is left", part.total)),
        Err(fault) => Err(fault.to_string()),
    };
    findings.judge("range.past-end", held);
}

async fn judge_beyond(session: &Session, url: &str, told: &Told, body: &Body, findings: &mut Findings) {
    for start in [body.total, body.total + 1000] {
        let held = match read(session, request(url, start, None), &[], &[]).await {
            // All from 0, as one does that knows no ranges.
            Ok(part) if !told.metadata.support_range && part.total == body.total => Ok(()),
            Ok(part) => Err(format!("from {start}: {} bytes are served", part.total)),
            Err(fault) => match fault.refusal() {
                Some(Code::OutOfRange) => Ok(()),
                Some(code) => Err(format!("from {start}: {}", unexpected(code, Code::OutOfRange))),
                None => Err(format!("from {start}: {fault}")),
            },
        };
        findings.judge("range.beyond", held);
    }
}
