//! What of the command line and of what is set elsewhere nobody may read.

use super::{Command, Opts};
use crate::{escape, url::ResourceUrl};

impl Opts {
    /// What may not be shown, of all that the user has given.
    pub fn secrets(&self) -> Vec<String> {
        let options = self.options.iter().flat_map(|(name, value)| secrets_of_option(name, value));
        // A flag's `key` is the path of one.
        let flags = self.options.flags().filter(|(name, _)| *name != "key");
        let mut secrets: Vec<String> =
            options.chain(flags.flat_map(|(name, value)| secrets_of_option(name, value))).collect();
        if let Command::Download(batch) = &self.command {
            let header = batch.settings.header.iter().filter(|(name, _)| escape::is_secret(name));
            // `Bearer TOKEN` is a scheme and the secret.
            let parts = |value: &str| [value.to_owned(), value.split(' ').next_back().unwrap_or_default().to_owned()];
            secrets.extend(header.flat_map(|(_, value)| parts(value)));
            secrets.extend(batch.wishes.iter().flat_map(|wish| wish.url.secrets()));
        }
        if let Command::Validate(subject) = &self.command {
            secrets.extend(self.options.iter().map(|(_, value)| value.clone()));
            secrets.extend(subject.urls().flat_map(ResourceUrl::secrets));
        }
        secrets
    }
}

/// What may not be shown of an option: all of it if its name says so, else the password in it.
fn secrets_of_option(name: &str, value: &str) -> Vec<String> {
    let login = match value.parse::<ResourceUrl>() {
        Ok(url) if value.contains("://") => return url.secrets().chain(all_of_secret(name, value)).collect(),
        _ if name == "proxy" => value.rsplit_once('@').map_or(value, |(login, _)| login),
        _ => value,
    };
    let is_login = matches!(name, "user" | "proxy");
    let password = login.split_once(':').map(|(_, password)| password.to_owned()).filter(|_| is_login);
    password.into_iter().chain(all_of_secret(name, value)).collect()
}

fn all_of_secret(name: &str, value: &str) -> Option<String> {
    escape::is_secret(name).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_a_secret_by_its_name_or_for_the_password_in_it() {
        let secrets = |name, value| secrets_of_option(name, value).into_iter().filter(|text| !text.is_empty());
        for (name, value, found) in [
            ("accessKey", "a:b", &["a:b"][..]),
            ("user", "me:pass:word", &["pass:word"]),
            ("proxy", "me:pass@h:3128", &["pass"]),
            ("user", "me:pa@ss", &["pa@ss"]),
            ("proxy", "me:pa@ss@h:3128", &["pa@ss"]),
            ("proxy", "h:3128", &["3128"]),
            ("region", "a:b", &[]),
            ("root", "/a", &[]),
        ] {
            assert_eq!(secrets(name, value).collect::<Vec<_>>(), found, "{name}={value}");
        }
        assert!(secrets("proxy", "socks5://me:p%40ss@h").any(|secret| secret == "p@ss"));
        assert!(secrets("endpoint", "https://h/?sig=s3cret").any(|secret| secret == "s3cret"));
    }
}
