//! `~/.aliyun/config.json` of Alibaba's command line, aliyun: <https://github.com/aliyun/aliyun-cli>, `config/profile.go`.

use plugin_sdk::Error;
use serde_json::Value;

use super::super::{
    files::{File, MEND, Tool},
    told::{Keys, Told},
};

pub(super) const ALIYUN: Tool = Tool { keys, endpoint };

/// Kinds of keys that are signed with as they are.
const MODES: [&str; 2] = ["AK", "StsToken"];

/// By which the command line and Alibaba's libraries are told to leave the file alone.
const IGNORED: [&str; 3] =
    ["ALIBABA_CLOUD_IGNORE_PROFILE", "ALIBABACLOUD_IGNORE_PROFILE", "ALIBABA_CLOUD_CLI_PROFILE_DISABLED"];

fn keys(told: &Told) -> Result<Option<Keys>, Error> {
    let Some((file, profile)) = profile(told)? else { return Ok(None) };
    let of = |name: &'static str| value(&profile, name);
    match of("mode").filter(|mode| !MODES.contains(mode)) {
        Some(mode) => {
            file.leaves(mode);
            Ok(None)
        }
        None => {
            let [id, secret] = ["access_key_id", "access_key_secret"].map(|name| (name, of(name)));
            file.keys(id, secret, of("sts_token"))
        }
    }
}

fn endpoint(told: &Told) -> Result<Option<String>, Error> {
    let Some((file, profile)) = profile(told)? else { return Ok(None) };
    value(&profile, "region_id").map(|region| file.address(super::own(region))).transpose()
}

/// The file, and in it the profile that is in use; neither, if one of [`IGNORED`] says so.
fn profile(told: &Told) -> Result<Option<(File, Value)>, Error> {
    if IGNORED.iter().any(|name| told.variable(&[name]).is_some_and(|value| value.eq_ignore_ascii_case("true"))) {
        return Ok(None);
    }
    let Some(file) = File::named(told, "ALIBABA_CLOUD_CONFIG_FILE", ".aliyun/config.json")? else { return Ok(None) };
    let mut all = file.json()?;
    let named = told.variable(&["ALIBABACLOUD_PROFILE", "ALIBABA_CLOUD_PROFILE", "ALICLOUD_PROFILE"]);
    let name = named.or(value(&all, "current")).unwrap_or("default").to_owned();
    let profiles = all.get_mut("profiles").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    match profiles.into_iter().find(|profile| value(profile, "name") == Some(&name)) {
        Some(profile) => Ok(Some((file, profile))),
        None => Err(file.unusable(format!("it has no profile {name}"), MEND)),
    }
}

/// An empty one is none.
fn value<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().filter(|value| !value.is_empty())
}
