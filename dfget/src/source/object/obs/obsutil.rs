//! `~/.obsutilconfig` of obsutil: `NAME=VALUE` without sections.
//!
//! obsutil encrypts `ak` and `sk` as soon as it sees them, with a key that is in its program alone: `readConfigFile` in
//! <https://github.com/huaweicloud/huaweicloud-obs-obsutil>. So what is of use here was written by somebody else.

use base64::{Engine, engine::general_purpose::STANDARD};
use plugin_sdk::Error;

use super::super::{
    files::{File, Ini, Tool},
    told::{Keys, Told},
};

pub(super) const OBSUTIL: Tool = Tool { keys, endpoint };

/// Of AES, by which obsutil encrypts.
const BLOCK: usize = 16;

fn keys(told: &Told) -> Result<Option<Keys>, Error> {
    let Some(file) = open(told)? else { return Ok(None) };
    let ini = file.ini()?;
    let [id, secret] = ["ak", "sk"].map(|name| (name, value(&ini, name)));
    if [id, secret].into_iter().any(|(_, value)| value.is_some_and(is_encrypted)) {
        let step = "use options or variables instead";
        return Err(file.unusable("obsutil has encrypted ak and sk, and nothing else can read them", step));
    }
    file.keys(id, secret, value(&ini, "token"))
}

fn endpoint(told: &Told) -> Result<Option<String>, Error> {
    let Some(file) = open(told)? else { return Ok(None) };
    let ini = file.ini()?;
    value(&ini, "endpoint").map(|endpoint| file.address(endpoint.to_owned())).transpose()
}

fn open(told: &Told) -> Result<Option<File>, Error> {
    File::at_home(told, ".obsutilconfig")
}

/// What obsutil puts in the place of a value that nobody has given is none.
fn value<'a>(ini: &Ini<'a>, name: &str) -> Option<&'a str> {
    ini.value("", name).filter(|value| !value.starts_with("***") && !value.ends_with("://your-endpoint"))
}

/// Base64 of whole blocks, which a key of Huawei's is not: those have 20 and 40 letters and digits.
fn is_encrypted(value: &str) -> bool {
    STANDARD.decode(value).is_ok_and(|bytes| !bytes.is_empty() && bytes.len() % BLOCK == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_obsutil_has_encrypted_is_told_from_a_key() {
        assert!(is_encrypted("MDEyMzQ1Njc4OWFiY2RlZg=="));
        for plain in ["", "HPUA0123456789ABCDEF", "0123456789abcdefghijABCDEFGHIJ0123456789", "a-secret"] {
            assert!(!is_encrypted(plain), "{plain}");
        }
    }
}
