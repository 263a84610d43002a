//! `~/.ossutilconfig` of ossutil. Its first version has one section, `Credentials`, the second one a section a profile and
//! still reads the first's: <https://www.alibabacloud.com/help/en/oss/developer-reference/configure-ossutil2>.

use plugin_sdk::Error;

use super::super::{
    files::{File, Ini, MEND, Tool},
    told::{Keys, Told},
};

pub(super) const OSSUTIL: Tool = Tool { keys, endpoint };

/// The section of the first version, and with it the names that it had for the two parts of a key beside today's.
const FIRST: &str = "Credentials";
const ID: [&str; 2] = ["accessKeyID", "accessID"];
const SECRET: [&str; 2] = ["accessKeySecret", "accessKey"];

/// Kinds of keys that are signed with as they are.
const MODES: [&str; 2] = ["AK", "StsToken"];

fn keys(told: &Told) -> Result<Option<Keys>, Error> {
    let Some(file) = open(told)? else { return Ok(None) };
    let ini = file.ini()?;
    let sections = sections(told, &file, &ini)?;
    let of = |section: &str, names: &[&str]| names.iter().find_map(|name| ini.value(section, name));
    let other_mode = |section: &str| {
        ini.value(section, "mode").filter(|mode| !MODES.iter().any(|known| known.eq_ignore_ascii_case(mode)))
    };
    let has_some = |section: &str| of(section, &ID).or(of(section, &SECRET)).or(other_mode(section)).is_some();
    let Some(section) = sections.iter().find(|section| has_some(section)) else { return Ok(None) };
    match other_mode(section) {
        Some(mode) => {
            file.leaves(mode);
            Ok(None)
        }
        None => file.keys((ID[0], of(section, &ID)), (SECRET[0], of(section, &SECRET)), ini.value(section, "stsToken")),
    }
}

fn endpoint(told: &Told) -> Result<Option<String>, Error> {
    let Some(file) = open(told)? else { return Ok(None) };
    let ini = file.ini()?;
    let sections = sections(told, &file, &ini)?;
    let of = |name: &str| sections.iter().find_map(|section| ini.value(section, name));
    let endpoint = of("endpoint").or(of("host")).map(str::to_owned).or(of("region").map(super::own));
    endpoint.map(|endpoint| file.address(endpoint)).transpose()
}

fn open(told: &Told) -> Result<Option<File>, Error> {
    File::named(told, "OSSUTIL_CONFIG_FILE", ".ossutilconfig")
}

/// Those of the profile that is in use.
fn sections(told: &Told, file: &File, ini: &Ini<'_>) -> Result<Vec<String>, Error> {
    let profile = told.variable(&["OSSUTIL_PROFILE"]).unwrap_or("default");
    let first = (profile == "default").then(|| FIRST.to_owned());
    let sections: Vec<_> = [format!("profile {profile}"), profile.to_owned()].into_iter().chain(first).collect();
    if sections.iter().any(|section| ini.has(section)) {
        return Ok(sections);
    }
    Err(file.unusable(format!("it has no section [{}]", sections[1..].join("] or [")), MEND))
}
