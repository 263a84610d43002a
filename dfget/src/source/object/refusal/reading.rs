//! A refusal, as its store writes it: in XML, in JSON, in headers, or in a line of text.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderMap;

use super::super::{answer::text, transport::Came};

/// A refusal, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The store's own word for it; empty if it has none.
    pub(super) code: String,
    pub(super) message: String,
    /// Azure's, of credentials.
    pub(super) detail: String,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) server_time: Option<String>,
    pub(super) storage_class: Option<String>,
    pub(super) host: String,
}

impl Refusal {
    /// As much as the answer tells.
    pub(super) fn of(came: &Came) -> Self {
        let mut refusal = Self { status: came.status.as_u16(), host: came.host.clone(), ..Self::default() };
        let body = String::from_utf8_lossy(&came.refusal);
        match body.trim_start().chars().next() {
            Some('{') => refusal.read_json(&came.refusal),
            Some('<') => refusal.read_xml(&body),
            // A line of text, as of Hadoop.
            _ => body.lines().next().unwrap_or_default().clone_into(&mut refusal.message),
        }
        // OSS answers HEAD with the body in a header.
        let packed = text(&came.header, "x-oss-err").and_then(|packed| BASE64_STANDARD.decode(packed).ok());
        if let Some(packed) = packed.filter(|_| refusal.code.is_empty()) {
            refusal.read_xml(&String::from_utf8_lossy(&packed));
        }
        refusal.read_header(&came.header);
        refusal
    }

    fn read_xml(&mut self, body: &str) {
        self.code = element(body, "Code").unwrap_or_default();
        self.message = element(body, "Message").unwrap_or_default();
        self.detail = element(body, "AuthenticationErrorDetail").unwrap_or_default().to_lowercase();
        self.region = element(body, "Region");
        self.endpoint = element(body, "Endpoint");
        self.server_time = element(body, "ServerTime");
        self.storage_class = element(body, "StorageClass");
    }

    /// Google's, that of WebHDFS, and that of whoever gives tokens: RFC 6749, section 5.2.
    fn read_json(&mut self, body: &[u8]) {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else { return };
        let word = |path: &str| value.pointer(path).and_then(|word| word.as_str()).unwrap_or_default().to_owned();
        let first =
            |paths: &[&str]| paths.iter().map(|path| word(path)).find(|word| !word.is_empty()).unwrap_or_default();
        self.code = first(&["/error/errors/0/reason", "/RemoteException/exception", "/error"]);
        self.message = first(&["/error/message", "/RemoteException/message", "/error_description"]);
    }

    fn read_header(&mut self, header: &HeaderMap) {
        for name in ["x-ms-error-code", "x-obs-error-code", "x-cos-error-code"] {
            match text(header, name) {
                Some(code) if self.code.is_empty() => code.clone_into(&mut self.code),
                _ => {}
            }
        }
        let region = text(header, "x-amz-bucket-region").map(str::to_owned);
        self.region = self.region.take().or(region);
        let class = text(header, "x-amz-storage-class").or_else(|| text(header, "x-oss-storage-class"));
        self.storage_class = self.storage_class.take().or_else(|| class.map(str::to_owned));
    }

    /// In the store's own words.
    pub(super) fn said(&self) -> String {
        let status = self.status;
        match (self.code.as_str(), self.message.trim().trim_end_matches('.')) {
            ("", "") => format!("status {status}"),
            ("", message) => format!("{status}: {message}"),
            (code, "") => format!("{status} {code}"),
            (code, message) => format!("{status} {code}: {message}"),
        }
    }
}

/// What the first element of this name holds, if it holds only text.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (held, _) = rest.split_once(&format!("</{name}>"))?;
    Some(unescaped(held.trim())).filter(|text| !text.is_empty())
}

/// XML's entities as the characters that they stand for.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let entity = part.split_once(';').and_then(|(entity, rest)| Some((character(entity)?, rest)));
        match entity {
            Some((character, rest)) => shown.extend([character.to_string().as_str(), rest]),
            None => shown.extend(["&", part]),
        }
    }
    shown
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = number.strip_prefix('x').map(|hex| u32::from_str_radix(hex, 16));
            char::from_u32(code.unwrap_or_else(|| number.parse()).ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_shown_as_what_they_stand_for() {
        assert_eq!(unescaped("&#34;a&#x22; &lt;&amp;&gt; &apos;&quot; &x; & &#xD800;"), "\"a\" <&> '\" &x; & &#xD800;");
    }
}
