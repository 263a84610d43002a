//! What `~/.aws` says of a profile beside its keys, which opendal reads itself: region and endpoint.

use std::path::PathBuf;

use super::super::told::Told;

/// Settings of the profile that is in use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
}

impl Profile {
    /// Of the option `profile`, of `AWS_PROFILE`, or the default one. A file that cannot be read has none.
    pub(super) fn read(told: &Told) -> Self {
        let name = told.either("profile", &["AWS_PROFILE"]).unwrap_or("default");
        let home = told.variable(&["HOME"]).map(|home| PathBuf::from(home).join(".aws/config"));
        let path = told.variable(&["AWS_CONFIG_FILE"]).map(PathBuf::from).or(home);
        let text = path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        Self::parse(&text, name)
    }

    fn parse(text: &str, name: &str) -> Self {
        let (mut profile, mut is_in) = (Self::default(), false);
        for line in text.lines() {
            if let Some(section) = line.trim().strip_prefix('[').and_then(|line| line.split(']').next()) {
                let section = section.trim();
                is_in = section.strip_prefix("profile ").unwrap_or(section).trim() == name;
                continue;
            }
            // An indented line belongs to the one above it.
            let setting = line.split_once('=').filter(|_| is_in && !line.starts_with([' ', '\t', '#', ';']));
            match setting.map(|(key, value)| (key.trim(), value.trim())) {
                Some(("region", value)) => profile.region = Some(value.to_owned()),
                Some(("endpoint_url", value)) => profile.endpoint = Some(value.to_owned()),
                _ => {}
            }
        }
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_and_endpoint_of_a_profile_are_found() {
        let text = "\
[default]
region = us-west-2
s3 =
    region = no
# region = no
[profile work]
region=eu-west-1
endpoint_url = http://127.0.0.1:9000
";
        let profile = |region: &str, endpoint: Option<&str>| Profile {
            region: Some(region.into()),
            endpoint: endpoint.map(Into::into),
        };
        assert_eq!(Profile::parse(text, "default"), profile("us-west-2", None));
        assert_eq!(Profile::parse(text, "work"), profile("eu-west-1", Some("http://127.0.0.1:9000")));
        assert_eq!(Profile::parse(text, "other"), Profile::default());
    }
}
