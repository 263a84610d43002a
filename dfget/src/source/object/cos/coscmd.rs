//! `~/.cos.conf` of coscmd: <https://github.com/tencentyun/coscmd>, `load_conf`.
//!
//! coscli's `~/.cos.yaml` is not read, which who has it is told: nothing else here wants a reader of YAML, and coscli
//! encrypts its keys unless it is told not to.

use std::path::Path;

use plugin_sdk::Error;

use super::super::{
    files::{File, Ini, MEND, Tool},
    told::{Keys, Told},
};

pub(super) const COSCMD: Tool = Tool { keys, endpoint };

const SECTION: &str = "common";

fn keys(told: &Told) -> Result<Option<Keys>, Error> {
    let Some(file) = File::at_home(told, ".cos.conf")? else {
        if told.variable(&["HOME"]).is_some_and(|home| Path::new(home).join(".cos.yaml").exists()) {
            tracing::info!("~/.cos.yaml is coscli's, and not read: use options, variables, or coscmd's ~/.cos.conf");
        }
        return Ok(None);
    };
    let ini = read(&file)?;
    let of = |name| ini.value(SECTION, name);
    if of("anonymous").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    file.keys(("secret_id", of("secret_id").or(of("access_id"))), ("secret_key", of("secret_key")), of("token"))
}

fn endpoint(told: &Told) -> Result<Option<String>, Error> {
    let Some(file) = File::at_home(told, ".cos.conf")? else { return Ok(None) };
    let ini = read(&file)?;
    let of = |name| ini.value(SECTION, name);
    let region = of("region").map(|region| super::host(region.trim_start_matches("cos.")));
    let host = of("endpoint").map(str::to_owned).or(region);
    let whole = |host: String| {
        if host.contains("://") { host } else { format!("{}://{host}", of("schema").unwrap_or("https")) }
    };
    host.map(|host| file.address(whole(host))).transpose()
}

fn read(file: &File) -> Result<Ini<'_>, Error> {
    let ini = file.ini()?;
    if ini.has(SECTION) { Ok(ini) } else { Err(file.unusable(format!("it has no section [{SECTION}]"), MEND)) }
}

#[cfg(test)]
mod tests {
    use super::{super::super::told::told, *};

    #[test]
    fn where_the_store_is_has_the_scheme_of_the_file() {
        let home = tempfile::tempdir().unwrap();
        let of = |text: &str| {
            std::fs::write(home.path().join(".cos.conf"), format!("[common]\n{text}")).unwrap();
            endpoint(&told(&[], &[("HOME", home.path().to_str().unwrap())])).unwrap().unwrap_or_default()
        };
        assert_eq!(of("region = cos.ap-beijing"), "https://cos.ap-beijing.myqcloud.com");
        assert_eq!(of("schema = http\nendpoint = cos.example.org\nregion = x"), "http://cos.example.org");
        assert_eq!(of("secret_id = x"), "");
    }
}
