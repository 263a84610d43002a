//! nginx's indexes in JSON: <https://nginx.org/en/docs/http/ngx_http_autoindex_module.html#autoindex_format>.

use std::{
    fmt,
    io::{self, Read},
};

use plugin_sdk::{Entry, Error, Metadata, Validator};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};
use serde_json::error::Category;

use super::{
    Outlet,
    page::{Gap, Watched},
    place::Place,
};

#[derive(Deserialize)]
struct Item {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    mtime: Option<String>,
    size: Option<u64>,
}

impl Item {
    /// `None` of what is neither file nor directory, such as a socket: nginx does not serve it.
    fn entry(self, place: &Place) -> Option<Entry> {
        let last_modified = self.mtime.and_then(|time| httpdate::parse_http_date(&time).ok());
        let validator = Validator { etag: None, last_modified };
        let metadata = |content_length| Metadata { content_length, validator, ..Metadata::default() };
        match &*self.kind {
            "directory" => Some(Entry { metadata: metadata(None), ..place.directory_named(self.name) }),
            "file" => Some(Entry { metadata: metadata(self.size), ..place.file_named(self.name) }),
            _ => None,
        }
    }
}

/// Hands over what is in the list that `page` is.
pub(super) fn read(page: impl Read, place: &Place, outlet: Outlet) -> io::Result<()> {
    let (page, gap) = Watched::new(page);
    let mut failed = Ok(());
    let list = List { place, outlet, gap, failed: &mut failed };
    let read = serde_json::Deserializer::from_reader(io::BufReader::new(page)).deserialize_seq(list);
    failed?;
    read.map_err(|error| match error.classify() {
        Category::Io => io::Error::from(error),
        Category::Eof => io::Error::other(Error::DataLoss("its index ends in the middle".into())),
        _ => io::Error::other(Error::InvalidRequest(format!("its index is none that nginx makes: {error}"))),
    })
}

struct List<'a> {
    place: &'a Place,
    outlet: Outlet,
    gap: Gap,
    /// Why what was read could not be handed over.
    failed: &'a mut io::Result<()>,
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of files and directories")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<Item>()? {
            self.gap.close();
            let Some(entry) = item.entry(self.place) else { continue };
            if let Err(error) = self.outlet.take(entry) {
                *self.failed = Err(error);
                return Err(de::Error::custom("it is not wanted any more"));
            }
        }
        Ok(())
    }
}
